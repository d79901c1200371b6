package org.warpbert.task;

import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.warpbert.WarpBertException;
import org.warpbert.text.Examples;
import org.warpbert.text.TextTable;

/**
 * Where texts and labels stand in a table (.tsv, .txt, .csv, .jsonl, .ndjson, or these with .gz): header names or indices from 0.
 *
 * @param table how the files are to be read
 * @param pair  column of a second text, or null
 * @param label column of the label; where a row may have several labels also columns of 0 and 1, with commas between their names
 */
public record Columns(TextTable.Options table, String text, String pair, String label) {
    public Columns {
        if (text == null) {
            throw new WarpBertException("the column of the text (--text) is missing");
        }
        if (label == null) {
            throw new WarpBertException("the column of the label (--label) is missing");
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
            throw new WarpBertException("the column of the second text (--pair) is missing");
        }
        return this;
    }

    /** A label for each row. */
    TextDataset read(Path file) {
        try (TextTable rows = TextTable.open(file, table)) {
            return new TextDataset(Examples.read(rows, text, pair, label));
        }
    }

    /** Any number of labels for each row: in a cell with the separator between them or as JSON's list, or in columns of 0 and 1. */
    TextDataset readSets(Path file, String separator) {
        try (TextTable rows = TextTable.open(file, table)) {
            return new TextDataset(flags() == null ? Examples.readSets(rows, text, pair, label, separator)
                    : Examples.readFlags(rows, text, pair, flags()));
        }
    }

    /** The columns of 0 and 1 of which the label names several, with commas; null: it names one column. */
    List<String> flags() {
        return label.contains(",") ? Stream.of(label.split(",")).map(String::strip).filter(name -> !name.isEmpty()).toList() : null;
    }

    /** Fails where the file lacks a column; reads no further than its first row. */
    void check(Path file) {
        check(file, List.of(label));
    }

    /** The same of rows with any number of labels. */
    void checkSets(Path file) {
        check(file, flags() == null ? List.of(label) : flags());
    }

    private void check(Path file, List<String> labels) {
        try (TextTable rows = TextTable.open(file, table)) {
            rows.column(text);
            labels.forEach(rows::column);
            if (pair != null) {
                rows.column(pair);
            }
        }
    }
}
