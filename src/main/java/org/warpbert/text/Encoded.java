package org.warpbert.text;

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
}
