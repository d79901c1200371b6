package org.warpbert.text;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.warpbert.WarpBertException;

/**
 * Sentences of labelled words from files with a word per line and a blank line between sentences, plain or gzipped.
 *
 * <ul>
 * <li>CoNLL columns (CoNLL-2003, WNUT17): between tabs where the first row has one, else between spaces; every row of the
 * same width. Lines that begin with {@code -DOCSTART-} end a sentence and are no words. A line that begins with {@code #}
 * and has another width, or between tabs a space behind its hashes, is a comment; any other is a word (a hashtag).
 * <li>CoNLL-U (.conllu; Universal Dependencies): ten columns between tabs. Lines that begin with {@code #} are comments;
 * ranges of words written as one (4-5) and empty nodes (8.1) are left out, so that the words are those of the syntax.
 * </ul>
 * Every error names file and line.
 */
public final class ConllFile {
    private static final List<String> CONLLU = List.of("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc");
    private static final Pattern HASHES = Pattern.compile("#+ \\S");
    private static final int UPOS = 3;
    private static final int XPOS = 4;

    private final Path file;
    private final boolean universal; // CoNLL-U
    private final boolean tabs;
    private final int width;
    private final int text;
    private final int label;

    /**
     * Finds out how a file is laid out; reads no further than its first word.
     *
     * @param text  column of the word: an index from 0, or for CoNLL-U one of its names; null: the first, CoNLL-U's FORM
     * @param label column of the label; null: the last, CoNLL-U's UPOS
     * @throws WarpBertException if there is no such column, or no word
     */
    public ConllFile(Path file, String text, String label) {
        this.file = file;
        String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
        universal = name.endsWith(".conllu") || name.endsWith(".conllu.gz");
        String row = firstRow();
        tabs = universal || row.indexOf('\t') >= 0;
        width = universal ? CONLLU.size() : cells(row).length;
        if (width < 2) {
            throw new WarpBertException(file + " has one column; a word and its label are needed, with a tab or spaces between them.");
        }
        this.text = column(text, universal ? 1 : 0);
        this.label = column(label, universal ? UPOS : width - 1);
    }

    private String firstRow() {
        String hash = null; // all the file may have is hashtags
        try (Utf8Lines lines = Utf8Lines.open(file)) {
            for (String line = lines.next(); line != null; line = lines.next()) {
                boolean comment = line.startsWith("#");
                if (!comment && !isBreak(line)) {
                    return line;
                }
                hash = comment && hash == null && !universal ? line : hash;
            }
        }
        if (hash == null) {
            throw new WarpBertException(file + " has no words.");
        }
        return hash;
    }

    private int column(String nameOrIndex, int otherwise) {
        if (nameOrIndex == null) {
            return otherwise;
        }
        int named = universal ? CONLLU.indexOf(nameOrIndex.toLowerCase(Locale.ROOT)) : -1;
        if (named >= 0) {
            return named;
        }
        if (nameOrIndex.matches("[0-9]{1,9}") && Integer.parseInt(nameOrIndex) < width) {
            return Integer.parseInt(nameOrIndex);
        }
        throw new WarpBertException(file + " has no column '" + nameOrIndex + "'; there are: " + (universal
                ? IntStream.range(0, width).mapToObj(i -> i + " '" + CONLLU.get(i) + "'").collect(Collectors.joining(", "))
                : "0 to " + (width - 1)) + ".");
    }

    /** All sentences. */
    public List<TaggedSentence> read() {
        List<TaggedSentence> sentences = new ArrayList<>();
        List<TaggedSentence.Word> words = new ArrayList<>();
        try (Utf8Lines lines = Utf8Lines.open(file)) {
            for (String line = lines.next(); line != null; line = lines.next()) {
                if (isBreak(line)) {
                    finish(words, sentences);
                } else if (!isComment(line)) {
                    String[] cells = cells(line);
                    if (cells.length != width) {
                        throw new WarpBertException(at(lines.line()) + "the row has " + cells.length + " columns between "
                                + (tabs ? "tabs" : "spaces") + ", " + (universal ? "CoNLL-U has " : "the first row has ") + width + ".");
                    }
                    if (!universal || isWord(cells[0], lines.line())) {
                        words.add(word(cells, lines.line()));
                    }
                }
            }
        }
        finish(words, sentences);
        if (sentences.isEmpty()) {
            throw new WarpBertException(file + " has no words.");
        }
        return sentences;
    }

    private static boolean isBreak(String line) {
        return line.isBlank() || line.startsWith("-DOCSTART-");
    }

    private boolean isComment(String line) {
        return line.startsWith("#") && (universal || cells(line).length != width || tabs && HASHES.matcher(line).lookingAt());
    }

    private String[] cells(String line) {
        return tabs ? line.split("\t", -1) : line.strip().split("\\s+");
    }

    /** Whether a row of CoNLL-U is a word; ranges and empty nodes are not. */
    private boolean isWord(String id, long line) {
        if (id.matches("[0-9]+-[0-9]+|[0-9]+\\.[0-9]+")) {
            return false;
        }
        if (!id.matches("[0-9]+")) {
            throw new WarpBertException(at(line) + "the first column is '" + id + "', in CoNLL-U it is a word's number.");
        }
        return true;
    }

    private TaggedSentence.Word word(String[] cells, long line) {
        String word = cells[text].strip();
        String tag = cells[label].strip();
        if (word.isEmpty()) {
            throw new WarpBertException(at(line) + "the word (column " + text + ") is empty.");
        }
        if (tag.isEmpty() || universal && (label == UPOS || label == XPOS) && tag.equals("_")) {
            throw new WarpBertException(at(line) + "the word '" + word + "' has no label (column " + label + ").");
        }
        return new TaggedSentence.Word(word, tag, line);
    }

    private static void finish(List<TaggedSentence.Word> words, List<TaggedSentence> sentences) {
        if (!words.isEmpty()) {
            sentences.add(new TaggedSentence(words));
            words.clear();
        }
    }

    private String at(long line) {
        return file + ", line " + line + ": ";
    }
}
