package org.warpbert.text;

import java.util.List;

/**
 * A question about a text.
 *
 * @param id      unique in its file
 * @param article number of the article that the text is of, 0 the first: a split into train and dev keeps articles whole
 * @param text    the question
 * @param context the text; questions about the same one share the object
 * @param answers annotators' answers; none: the context does not tell
 */
public record Question(String id, int article, String text, String context, List<Answer> answers) {
    /** Where an answer stands that is not at the place its file says. */
    public static final int NOWHERE = -1;

    public Question {
        answers = List.copyOf(answers);
    }

    /**
     * An answer.
     *
     * @param start UTF-16 index in the context, or {@link #NOWHERE}
     */
    public record Answer(String text, int start) {
        public int end() {
            return start + text.length();
        }
    }

    /** Whether the context tells. */
    public boolean answerable() {
        return !answers.isEmpty();
    }

    /** The first answer that stands where its file says, or null: what a model learns from. */
    public Answer located() {
        return answers.stream().filter(answer -> answer.start() != NOWHERE).findFirst().orElse(null);
    }
}
