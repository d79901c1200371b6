package org.warpbert.task;

import java.nio.file.Path;
import org.warpbert.WarpBertException;
import org.warpbert.text.Examples;
import org.warpbert.text.TextTable;

/**
 * Where texts and labels stand in a table (.tsv, .csv, .jsonl, or these with .gz): header names or indices from 0.
 *
 * @param header whether the first row names the columns
 * @param pair   column of a second text, or null
 */
public record Columns(boolean header, String text, String pair, String label) {
    public Columns {
        if (text == null) {
            throw new WarpBertException("the column of the text is missing: --text");
        }
        if (label == null) {
            throw new WarpBertException("the column of the label is missing: --label");
        }
    }

    TextDataset read(Path file) {
        try (TextTable table = open(file)) {
            return new TextDataset(Examples.read(table, text, pair, label));
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

    private TextTable open(Path file) {
        return TextTable.open(file, header ? TextTable.Options.DEFAULT : TextTable.Options.DEFAULT.withoutHeader());
    }
}
