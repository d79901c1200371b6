package org.warpbert.cli;

import picocli.CommandLine.Option;

/** Where text and label stand in tables. */
final class ColumnOptions {
    @Option(names = "--no-header", description = "The files' first row is data, not column names.")
    boolean noHeader;

    @Option(names = "--text", paramLabel = "COL", description = "Column of the text: a header name, or an index from 0. For tag, of the word (default: the first; CoNLL-U: form).")
    String text;

    @Option(names = "--pair", paramLabel = "COL", description = "Column of the second text, where texts come in pairs.")
    String pair;

    @Option(names = "--label", paramLabel = "COL", description = "Column of the label. For tag, default: the last; CoNLL-U: upos.")
    String label;

    boolean given() {
        return noHeader || text != null || pair != null || label != null;
    }
}
