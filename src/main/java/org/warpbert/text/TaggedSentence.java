package org.warpbert.text;

import java.util.List;

/** A sentence whose words have labels. */
public record TaggedSentence(List<Word> words) {

    /**
     * One word.
     *
     * @param text  as it stands in the file
     * @param label as it stands in the file
     * @param line  1-based line of the file
     */
    public record Word(String text, String label, long line) {}

    public TaggedSentence {
        words = List.copyOf(words);
    }

    /** The words alone. */
    public List<String> texts() {
        return words.stream().map(Word::text).toList();
    }

    /** The labels alone. */
    public List<String> labels() {
        return words.stream().map(Word::label).toList();
    }
}
