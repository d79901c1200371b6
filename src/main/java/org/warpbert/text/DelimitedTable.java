package org.warpbert.text;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVParser;
import org.apache.commons.csv.CSVRecord;
import org.warpbert.WarpBertException;
import org.warpbert.format.AtomicFile;

/** TSV without quoting, and CSV after RFC 4180. */
final class DelimitedTable extends TextTable {
    private final Utf8Lines lines;
    private final CSVParser csv; // null: TSV
    private final Iterator<CSVRecord> records;
    private final boolean extraCells;
    private final List<String> names;
    private final int width;
    private final boolean tabs; // inside the cells of a CSV file's first row
    private Row first;

    DelimitedTable(Utf8Lines lines, Options options, boolean quoted) {
        super(lines.file());
        this.lines = lines;
        this.extraCells = options.extraCells();
        try {
            csv = quoted ? CSVFormat.RFC4180.builder().setIgnoreEmptyLines(false).get().parse(lines.reader()) : null;
        } catch (IOException e) {
            throw new WarpBertException(file() + " cannot be read: " + AtomicFile.reason(e), e);
        }
        records = quoted ? csv.iterator() : null;
        CellRow row = read();
        if (row == null) {
            throw new WarpBertException(file() + " is empty.");
        }
        width = row.cells.length;
        tabs = csv != null && Arrays.stream(row.cells).anyMatch(cell -> cell.contains("\t"));
        names = options.header() ? List.of(row.cells) : null;
        first = options.header() ? null : row;
    }

    @Override
    public Row next() {
        if (first != null) {
            Row row = first;
            first = null;
            return row;
        }
        CellRow row = read();
        while (row != null && width > 1 && row.cells.length == 1 && row.cells[0].isEmpty()) {
            row = read(); // a blank line between rows
        }
        if (row != null && (row.cells.length < width || (row.cells.length > width && !extraCells))) {
            throw new WarpBertException(at(row.line) + "the row has " + row.cells.length + " cells, the first row has "
                    + width + "." + (csv != null ? hint() : row.cells.length > width ? " Tabs separate cells; those beyond can be left out (--extra-cells)."
                    : " Tabs separate cells and a line is a row, quotes or not."));
        }
        return row;
    }

    private CellRow read() {
        if (csv == null) {
            String text = lines.next();
            return text == null ? null : new CellRow(lines.line(), text.split("\t", -1));
        }
        long line = csv.getCurrentLineNumber() + 1;
        try {
            return records.hasNext() ? new CellRow(line, records.next().values()) : null;
        } catch (UncheckedIOException | IllegalStateException e) {
            boolean open = String.valueOf(e.getMessage()).contains("EOF reached");
            throw new WarpBertException(at(line) + (open ? "a quote that opens in this row is never closed"
                    : "not proper CSV (a quote inside a cell, or text after a closing quote?): " + (e.getCause() == null ? e : e.getCause()).getMessage())
                    + "; a file with literal quotes is read as TSV.", e);
        }
    }

    @Override
    String hint() {
        return tabs ? " The cells hold tabs: is it a TSV file? Then say so (--format tsv)." : "";
    }

    @Override
    public List<String> header() {
        return names;
    }

    @Override
    public int columns() {
        return width;
    }

    @Override
    public void close() {
        lines.close();
    }

    private final class CellRow implements Row {
        private final long line;
        private final String[] cells;

        CellRow(long line, String[] cells) {
            this.line = line;
            this.cells = cells;
        }

        @Override
        public long line() {
            return line;
        }

        @Override
        public String get(int column) {
            return cells[column];
        }

        @Override
        public List<String> list(int column) {
            throw new WarpBertException(at(line) + "column " + column + " must hold a list, which only JSONL can.");
        }

        @Override
        public String toString() {
            return "line " + line + " " + Arrays.toString(cells);
        }
    }
}
