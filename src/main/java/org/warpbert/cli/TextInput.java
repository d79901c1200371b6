package org.warpbert.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import org.warpbert.WarpBertException;
import org.warpbert.text.Example;
import org.warpbert.text.Examples;
import org.warpbert.text.TextTable;
import org.warpbert.text.Utf8Lines;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The texts that a command works on: arguments, the lines of a file or columns of it, or the lines of standard input. */
final class TextInput {
    static final Path STDIN = Path.of("standard input");
    /** Texts handled at a time: enough for full batches, few enough that results flow. */
    static final int CHUNK = 256;
    private static final Pattern BREAKS = Pattern.compile("[\\t\\r\\n]+");

    @Parameters(paramLabel = "TEXT", arity = "0..*", description = "Texts; without any, --file or standard input is read, a text per line.")
    List<String> texts = List.of();

    @Option(names = "--file", paramLabel = "FILE", description = "Read a text per line from here.")
    Path file;

    @Option(names = "--columns", paramLabel = "COL[,COL]", description = "The file is a table (.tsv, .txt, .csv, .jsonl, .ndjson, or these with .gz): the column of the text, and of the second text of a pair; a header name, or an index from 0.")
    private String columns;

    @Option(names = "--no-header", description = "With --columns: the file's first row is data, not column names.")
    private boolean noHeader;

    @Option(names = "--format", paramLabel = "NAME", description = "With --columns: tsv, csv or jsonl, whatever the file's extension says.")
    private TextTable.Format format;

    @Option(names = "--pair", paramLabel = "TEXT", description = "The second text of a pair, for each TEXT in turn (repeat it).")
    private List<String> pairs;

    @Option(names = "--pair-tab", description = "Lines of the file or of standard input are pairs, with a tab between the texts.")
    private boolean pairTab;

    /** Some texts, each with its second text where there are pairs ({@code pairs} is null otherwise). */
    record Chunk(List<String> texts, List<String> pairs) {
        String pair(int i) {
            return pairs == null ? null : pairs.get(i);
        }

        /** A text, or two with a tab between them, in a line: those of a table may hold tabs and line breaks. */
        String line(int i) {
            return oneLine(texts.get(i)) + (pairs == null ? "" : "\t" + oneLine(pairs.get(i)));
        }
    }

    /** What may stand between the tabs of a line of the result. */
    static String oneLine(String text) {
        return BREAKS.matcher(text).replaceAll(" ");
    }

    /** Reads everything, chunk by chunk; blank texts are left out, counted, and said so. */
    void forEach(WarpBertCommand command, Consumer<Chunk> work) {
        if (!texts.isEmpty()) {
            check(command, file == null, "TEXT and --file exclude each other");
            check(command, !pairTab, "--pair-tab is for lines; give the second text with --pair");
            check(command, columns == null, "--columns goes with --file");
            check(command, pairs == null || pairs.size() == texts.size(), "there must be as many --pair as TEXT");
            check(command, texts.stream().noneMatch(String::isBlank), "a TEXT is empty");
            work.accept(new Chunk(texts, pairs));
            return;
        }
        check(command, pairs == null, "--pair goes with TEXT; for lines there is --pair-tab");
        check(command, !noHeader && format == null || columns != null, "--no-header and --format go with --columns");
        if (columns != null) {
            check(command, file != null && !pairTab, "--columns goes with --file, and not with --pair-tab");
            table(command, work);
            return;
        }
        try (Utf8Lines lines = open(file, command.terminal)) {
            long skipped = read(lines, work);
            if (skipped > 0) {
                command.terminal.note(String.format("%s: %,d blank lines skipped", file == null ? STDIN : file, skipped));
            }
        }
    }

    /** Fails where options for lines or pairs were given to a command that has another way of reading. */
    void checkNoPairs(WarpBertCommand command) {
        check(command, pairs == null && !pairTab && columns == null && !noHeader && format == null,
                "--pair, --pair-tab, --columns, --no-header and --format are not for this model's task");
        check(command, texts.isEmpty() || file == null, "TEXT and --file exclude each other");
    }

    private void table(WarpBertCommand command, Consumer<Chunk> work) {
        String[] names = columns.split(",");
        check(command, names.length <= 2, "--columns names one column, or two");
        String pair = names.length == 2 ? names[1].strip() : null;
        Examples examples;
        try (TextTable table = TextTable.open(file, new TextTable.Options(format, !noHeader, true))) {
            examples = Examples.read(table, names[0].strip(), pair, null);
        }
        for (int from = 0; from < examples.rows().size(); from += CHUNK) {
            List<Example> rows = examples.rows().subList(from, Math.min(from + CHUNK, examples.rows().size()));
            work.accept(new Chunk(rows.stream().map(Example::text).toList(), pair == null ? null : rows.stream().map(Example::pair).toList()));
        }
        if (examples.skippedEmpty() > 0) {
            command.terminal.note(String.format("%s: %,d of %,d rows skipped, their text is empty", file, examples.skippedEmpty(), examples.read()));
        }
    }

    private long read(Utf8Lines lines, Consumer<Chunk> work) {
        List<String> first = new ArrayList<>();
        List<String> second = pairTab ? new ArrayList<>() : null;
        long skipped = 0;
        for (String line = lines.next(); line != null; line = lines.next()) {
            if (line.isBlank()) {
                skipped++;
                continue;
            }
            first.add(pairTab ? line.substring(0, tab(line, file, lines)) : line);
            if (pairTab) {
                second.add(line.substring(tab(line, file, lines) + 1));
            }
            if (first.size() == CHUNK) {
                work.accept(new Chunk(first, second));
                first = new ArrayList<>();
                second = pairTab ? new ArrayList<>() : null;
            }
        }
        if (!first.isEmpty()) {
            work.accept(new Chunk(first, second));
        }
        return skipped;
    }

    /** Where the tab between two texts is in the line last read; {@code file} is null for standard input. */
    static int tab(String line, Path file, Utf8Lines lines) {
        int tab = line.indexOf('\t');
        if (tab < 0) {
            throw new WarpBertException((file == null ? STDIN : file) + ", line " + lines.line() + ": there is no tab between two texts.");
        }
        return tab;
    }

    private static void check(WarpBertCommand command, boolean good, String otherwise) {
        if (!good) {
            throw command.usage(otherwise);
        }
    }

    /** The lines of a file, plain or gzipped (.gz), or of standard input where it is null. */
    static Utf8Lines open(Path file, Terminal terminal) {
        return file == null ? new Utf8Lines(STDIN, terminal.in()) : Utf8Lines.open(file);
    }
}
