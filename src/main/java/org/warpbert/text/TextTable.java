package org.warpbert.text;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.warpbert.WarpBertException;

/**
 * Rows of a TSV, CSV or JSONL file, plain or gzipped, streamed one at a time.
 *
 * <ul>
 * <li>TSV: cells between tabs, quotes are ordinary characters (CoLA and NSMC count on it).
 * <li>CSV: RFC 4180, quoted cells may hold commas, quotes and line breaks.
 * <li>JSONL: one JSON object a line; its first row names the columns, rows may order and leave out keys as they like.
 * </ul>
 * Text must be UTF-8; a byte order mark is dropped, CRLF and LF both end lines, blank lines between rows of several
 * columns are skipped. Every error names file and line.
 */
public abstract class TextTable implements AutoCloseable {

    /** How a file separates its cells. */
    public enum Format { TSV, CSV, JSONL }

    /**
     * @param format     null: by extension (.tsv .txt, .csv, .jsonl .ndjson; each also with .gz)
     * @param header     whether the first row names the columns (JSONL has its names in every row)
     * @param extraCells whether rows may have more cells than the first one (STS-B does); they are ignored
     */
    public record Options(Format format, boolean header, boolean extraCells) {
        /** By extension, with a header, all rows of the same width. */
        public static final Options DEFAULT = new Options(null, true, false);

        /** These options without a header. */
        public Options withoutHeader() {
            return new Options(format, false, extraCells);
        }
    }

    /** One row. */
    public interface Row {
        /** 1-based line of the file that the row starts on. */
        long line();

        /** The cell of a column (an index from {@link TextTable#column}); never null. */
        String get(int column);

        /** The texts of a column that holds a list; only JSON does. */
        List<String> list(int column);

        /** The texts between the separators of a cell, or the texts and numbers of JSON's list; stripped, empty ones left out. */
        default List<String> list(int column, String separator) {
            return Stream.of(get(column).split(Pattern.quote(separator))).map(String::strip).filter(part -> !part.isEmpty()).toList();
        }
    }

    private final Path file;

    TextTable(Path file) {
        this.file = file;
    }

    /**
     * Opens a file.
     *
     * @throws WarpBertException if it is missing, a folder, empty, not UTF-8, or of an unknown extension
     */
    public static TextTable open(Path file, Options options) {
        Utf8Lines lines = Utf8Lines.open(file);
        try {
            Format format = options.format() == null ? byExtension(file) : options.format();
            return switch (format) {
                case TSV -> new DelimitedTable(lines, options, false);
                case CSV -> new DelimitedTable(lines, options, true);
                case JSONL -> new JsonLinesTable(lines);
            };
        } catch (RuntimeException e) {
            lines.close();
            throw e;
        }
    }

    /** JSON lines that are read from elsewhere than a file; closing the table closes them. */
    public static TextTable jsonLines(Utf8Lines lines) {
        return new JsonLinesTable(lines);
    }

    private static Format byExtension(Path file) {
        String name = file.getFileName().toString().toLowerCase(Locale.ROOT).replaceFirst("\\.gz$", "");
        return switch (name.substring(name.lastIndexOf('.') + 1)) {
            case "tsv", "txt" -> Format.TSV;
            case "csv" -> Format.CSV;
            case "jsonl", "ndjson" -> Format.JSONL;
            default -> throw new WarpBertException("The extension of " + file + " does not tell its format; "
                    + "known are .tsv, .txt, .csv, .jsonl and .ndjson, each also with .gz. Say which it is (--format).");
        };
    }

    /** The next row, or null at the end of the file. */
    public abstract Row next();

    /** Column names of the header, or of the first JSON object; null where there is no header. */
    public abstract List<String> header();

    /** Number of columns. */
    public abstract int columns();

    @Override
    public abstract void close();

    /** The file that is read. */
    public final Path file() {
        return file;
    }

    /**
     * Finds a column.
     *
     * @param nameOrIndex a name of the header (which goes first), or a 0-based index
     * @throws WarpBertException listing the columns that there are
     */
    public final int column(String nameOrIndex) {
        List<String> names = header();
        int found = names == null ? -1 : names.indexOf(nameOrIndex);
        if (found >= 0) {
            if (names.lastIndexOf(nameOrIndex) != found) {
                throw new WarpBertException(file + " has several columns named '" + nameOrIndex
                        + "'; choose one by its index: " + describeColumns() + ".");
            }
            return found;
        }
        if (nameOrIndex.matches("[0-9]{1,9}") && Integer.parseInt(nameOrIndex) < columns()) {
            return Integer.parseInt(nameOrIndex);
        }
        throw new WarpBertException(file + " has no column '" + nameOrIndex + "'; there are: " + describeColumns()
                + "." + hint());
    }

    /** What else may be wrong with a file whose columns are not as expected; empty or a sentence after a space. */
    String hint() {
        return "";
    }

    /** The start of an error message about a line. */
    final String at(long line) {
        return file + ", line " + line + ": ";
    }

    private String describeColumns() {
        List<String> names = header();
        if (names == null) {
            return columns() == 1 ? "0 (one column, no header)" : "0 to " + (columns() - 1) + " (no header)";
        }
        return IntStream.range(0, names.size()).mapToObj(i -> i + " '" + names.get(i) + "'")
                .collect(Collectors.joining(", "));
    }
}
