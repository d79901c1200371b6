package org.warpbert.task;

import java.nio.file.Path;
import org.warpbert.WarpBertException;
import org.warpbert.text.Examples;
import org.warpbert.text.TextTable;

/**
 * Where texts and labels stand in a table (.tsv, .csv, .jsonl, or these with .gz): header names or indices from 0.
 *
 * @param table how the files are to be read
 * @param pair  column of a second text, or null
 */
public record Columns(TextTable.Options table, String text, String pair, String label) {
    public Columns {
        if (text == null) {
            throw new WarpBertException("the column of the text is missing: --text");
        }
        if (label == null) {
            throw new WarpBertException("the column of the label is missing: --label");
        }
    }

    /**
     * Of files whose extension says their format.
     *
     * @param header whether the first row names the columns
     */
    public Columns(boolean header, String text, String pair, String label) {
        this(header ? TextTable.Options.DEFAULT : TextTable.Options.DEFAULT.withoutHeader(), text, pair, label);
    }

    /** These, which must name a second text. */
    public Columns requirePair() {
        if (pair == null) {
            throw new WarpBertException("the column of the second text is missing: --pair");
        }
        return this;
    }

    /** A label for each row. */
    TextDataset read(Path file) {
        try (TextTable rows = TextTable.open(file, table)) {
            return new TextDataset(Examples.read(rows, text, pair, label));
        }
    }

    /** Any number of labels for each row, with the separator between them or as JSON's list. */
    TextDataset readSets(Path file, String separator) {
        try (TextTable rows = TextTable.open(file, table)) {
            return new TextDataset(Examples.readSets(rows, text, pair, label, separator));
        }
    }

    /** Fails where the file lacks a column; reads no further than its first row. */
    void check(Path file) {
        try (TextTable rows = TextTable.open(file, table)) {
            rows.column(text);
            rows.column(label);
            if (pair != null) {
                rows.column(pair);
            }
        }
    }
}
