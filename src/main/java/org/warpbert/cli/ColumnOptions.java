package org.warpbert.cli;

import java.nio.file.Path;
import org.warpbert.text.Examples;
import org.warpbert.text.TextTable;
import picocli.CommandLine.Option;

/** Where text and label stand in data files. */
final class ColumnOptions {
    @Option(names = "--no-header", description = "The files' first row is data, not column names.")
    boolean noHeader;

    @Option(names = "--text", required = true, paramLabel = "COL", description = "Column of the text: a header name, or an index from 0.")
    String text;

    @Option(names = "--pair", paramLabel = "COL", description = "Column of the second text, where texts come in pairs.")
    String pair;

    @Option(names = "--label", required = true, paramLabel = "COL", description = "Column of the label.")
    String label;

    private TextTable open(Path file) {
        return TextTable.open(file, noHeader ? TextTable.Options.DEFAULT.withoutHeader() : TextTable.Options.DEFAULT);
    }

    Examples read(Path file) {
        try (TextTable table = open(file)) {
            return Examples.read(table, text, pair, label);
        }
    }

    /** Fails where the file lacks a column; reads no further than its first row. */
    void check(Path file) {
        try (TextTable table = open(file)) {
            table.column(text);
            table.column(label);
            if (pair != null) {
                table.column(pair);
            }
        }
    }
}
