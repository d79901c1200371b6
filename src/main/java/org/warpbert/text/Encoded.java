package org.warpbert.text;

import java.util.Arrays;

/**
 * One tokenised sequence, special tokens included: {@code [CLS] a [SEP]} or {@code [CLS] a [SEP] b [SEP]}.
 *
 * @param tokens    vocabulary ids, {@code [n]}
 * @param segments  0 for the first text and its specials, 1 for the second text and its {@code [SEP]}, {@code [n]}
 * @param truncated whether pieces were cut off to keep to the maximum length
 */
public record Encoded(int[] tokens, byte[] segments, boolean truncated) {

    /** Number of tokens, special tokens included. */
    public int length() {
        return tokens.length;
    }

    /**
     * Puts special tokens round the pieces of one text or two, cut to {@code maxLength} tokens in all.
     *
     * @param b pieces of the second text, or null
     */
    static Encoded join(int[] a, int[] b, int cls, int sep, int maxLength) {
        int[] kept = b == null ? new int[] {Math.min(a.length, maxLength - 2), 0}
                : longestFirst(a.length, b.length, maxLength - 3);
        int[] tokens = new int[kept[0] + (b == null ? 2 : 3 + kept[1])];
        byte[] segments = new byte[tokens.length];
        tokens[0] = cls;
        System.arraycopy(a, 0, tokens, 1, kept[0]);
        tokens[kept[0] + 1] = sep;
        boolean truncated = kept[0] < a.length;
        if (b != null) {
            System.arraycopy(b, 0, tokens, kept[0] + 2, kept[1]);
            tokens[tokens.length - 1] = sep;
            Arrays.fill(segments, kept[0] + 2, segments.length, (byte) 1);
            truncated |= kept[1] < b.length;
        }
        return new Encoded(tokens, segments, truncated);
    }

    /**
     * Pieces kept of each text of a pair: only the longer is cut while that is enough; else both get half of the
     * budget, and an odd piece goes to the longer (to the second, if they are equal): the rule of Hugging Face's fast
     * tokenizers.
     */
    private static int[] longestFirst(int a, int b, int budget) {
        if (a + b <= budget) {
            return new int[] {a, b};
        }
        int shorter = Math.min(Math.min(a, b), budget / 2);
        int longer = budget - shorter;
        return a > b ? new int[] {longer, shorter} : new int[] {shorter, longer};
    }
}
