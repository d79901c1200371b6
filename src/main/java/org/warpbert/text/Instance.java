package org.warpbert.text;

import java.util.List;

/**
 * One example as a model sees it: a sequence, or several that belong together (a question's candidates), and what is to be
 * learned from it.
 *
 * @param sequences   one or more
 * @param labels      {@code [w]}: a class, the ends of a span, the bits of floats; the same w for all examples of a task
 * @param tokenLabels a class for each token, {@link PackedBatch#IGNORE} where it has none, {@code [sequences][n]}; null where
 *                    tokens have no labels
 */
public record Instance(List<Encoded> sequences, int[] labels, int[][] tokenLabels) {

    /** A sequence with labels of its own. */
    public static Instance of(Encoded sequence, int... labels) {
        return new Instance(List.of(sequence), labels, null);
    }

    /** A sequence whose tokens have labels. */
    public static Instance ofTokens(Encoded sequence, int[] tokenLabels) {
        return new Instance(List.of(sequence), new int[0], new int[][] {tokenLabels});
    }

    /** Tokens of all sequences. */
    public int tokens() {
        return sequences.stream().mapToInt(Encoded::length).sum();
    }

    /** Tokens that have a label. */
    public int labelled() {
        int count = 0;
        if (tokenLabels != null) {
            for (int[] row : tokenLabels) {
                for (int label : row) {
                    count += label == PackedBatch.IGNORE ? 0 : 1;
                }
            }
        }
        return count;
    }

    /** Whether a sequence was cut. */
    public boolean truncated() {
        return sequences.stream().anyMatch(Encoded::truncated);
    }
}
