package org.warpbert.text;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.warpbert.WarpBertException;

/**
 * The usable rows of a data file.
 *
 * @param file         where they come from
 * @param rows         the rows, in file order
 * @param read         rows in the file, the skipped ones included
 * @param skippedEmpty rows left out because a text was empty or only white space
 */
public record Examples(Path file, List<Example> rows, long read, int skippedEmpty) {

    /**
     * Reads the rest of a table.
     *
     * @param text  column of the text: a header name or a 0-based index
     * @param pair  column of the second text, or null
     * @param label column of the label, or null
     * @throws WarpBertException if a column does not exist, a row lacks it or has an empty label, or no row is left
     */
    public static Examples read(TextTable table, String text, String pair, String label) {
        int column = label == null ? -1 : table.column(label);
        return read(table, text, pair, label, row -> new Label(label == null ? null : row.get(column).strip(), null));
    }

    /**
     * As {@link #read(TextTable, String, String, String)}, of rows with any number of labels, none too.
     *
     * @param separator what stands between labels in a cell; a JSON row may have a list instead
     */
    public static Examples readSets(TextTable table, String text, String pair, String label, String separator) {
        int column = table.column(label);
        return read(table, text, pair, label, row -> new Label(null, row.list(column, separator)));
    }

    /**
     * As {@link #readSets}, where each label has a column of its own that holds 1 where a row has it, else 0 (Jigsaw).
     *
     * @param labels the columns, whose names are the labels'
     */
    public static Examples readFlags(TextTable table, String text, String pair, List<String> labels) {
        int[] columns = labels.stream().mapToInt(table::column).toArray();
        return read(table, text, pair, null, row -> {
            List<String> found = new ArrayList<>();
            for (int i = 0; i < columns.length; i++) {
                if (flag(row.get(columns[i]).strip(), labels.get(i), table.at(row.line()))) {
                    found.add(labels.get(i));
                }
            }
            return new Label(null, found);
        });
    }

    private static boolean flag(String cell, String label, String where) {
        if (!cell.matches("[01]|true|false")) {
            throw new WarpBertException(where + "the column '" + label + "' holds '" + cell + "'; a column for one label of several must hold 0 or 1.");
        }
        return cell.equals("1") || cell.equals("true");
    }

    /** What a row is labelled with: a text (or null), or any number of them. */
    private record Label(String one, List<String> all) {}

    private static Examples read(TextTable table, String text, String pair, String column, Function<TextTable.Row, Label> label) {
        int textColumn = table.column(text);
        int pairColumn = pair == null ? -1 : table.column(pair);
        List<Example> rows = new ArrayList<>();
        long read = 0;
        int skipped = 0;
        for (TextTable.Row row = table.next(); row != null; row = table.next()) {
            read++;
            Label labelled = label.apply(row);
            Example example = new Example(row.line(), row.get(textColumn), pair == null ? null : row.get(pairColumn), labelled.one, labelled.all);
            if (example.text().isBlank() || (pair != null && example.pair().isBlank())) {
                skipped++;
            } else if (example.label() != null && example.label().isEmpty()) {
                throw new WarpBertException(table.at(row.line()) + "the label (column " + column + ") is empty.");
            } else {
                rows.add(example);
            }
        }
        if (rows.isEmpty()) {
            throw new WarpBertException(table.file() + " has no row with text in column " + text + " (" + read
                    + " rows read, " + skipped + " of them empty).");
        }
        return new Examples(table.file(), rows, read, skipped);
    }

    /** The rows with these indices, in that order: a split or a sample. */
    public Examples select(int[] indices) {
        List<Example> chosen = new ArrayList<>(indices.length);
        for (int index : indices) {
            chosen.add(rows.get(index));
        }
        return new Examples(file, chosen, read, skippedEmpty);
    }
}
