package org.warpbert.cli;

import org.warpbert.task.Columns;
import org.warpbert.text.TextTable;
import picocli.CommandLine.Option;

/** Where text and label stand in tables. */
final class ColumnOptions {
    @Option(names = "--no-header", description = "The files' first row is data, not column names.")
    private boolean noHeader;

    @Option(names = "--format", paramLabel = "NAME", description = "tsv, csv or jsonl: what the files are, whatever their extension says (default: by the extension).")
    private TextTable.Format format;

    @Option(names = "--extra-cells", description = "Rows may have more cells than the first one; those are not read.")
    private boolean extraCells;

    @Option(names = "--text", paramLabel = "COL", description = "Column of the text: a header name, or an index from 0. For tag, of the word (default: the first; CoNLL-U: form).")
    String text;

    @Option(names = "--pair", paramLabel = "COL", description = "Column of the second text, where texts come in pairs.")
    private String pair;

    @Option(names = "--label", paramLabel = "COL", description = "Column of the label. With --multi-label also several columns of 0 and 1, with commas between them. For tag, default: the last; CoNLL-U: upos.")
    String label;

    boolean given() {
        return tableGiven() || text != null || pair != null || label != null;
    }

    private boolean tableGiven() {
        return noHeader || format != null || extraCells;
    }

    Columns get() {
        return new Columns(new TextTable.Options(format, !noHeader, extraCells), text, pair, label);
    }

    /** Names what nobody has: where no file will be read. */
    void assume() {
        text = text == null ? "text" : text;
        pair = pair == null ? "pair" : pair;
        label = label == null ? "label" : label;
    }

    /** Fails where something was given that files of words have no use for. */
    void checkWords(WarpBertCommand command) {
        if (pair != null) {
            throw command.usage("--pair is not for --task tag: a sentence is tagged by itself");
        }
        if (tableGiven()) {
            throw command.usage("--no-header, --format and --extra-cells are not for --task tag");
        }
    }
}
