package org.warpbert.model;

import java.nio.IntBuffer;
import org.warpbert.text.PackedBatch;

/**
 * The sizes at which the encoder computes a batch: all that its ops and their addresses depend on, the type and the buffers being
 * the model's. Where batches are filled these are rounded up, so that they come back: behind the real sequences stands one of filler,
 * the batch's first tokens over again, and then empty ones; behind the rows that a head reads, rows of zeros. No head sees them, and
 * their gradient is 0. One shape is set again for every batch, so that a batch makes no object; a {@link #copy} is what may be kept.
 */
final class EncoderShape {
    /** Filler is no longer than what attention reads at a time anyway. */
    private static final int TOKENS = 64;
    private static final int SEQUENCES = 8;

    private int tokens;
    private int sequences;
    private int longest;
    private boolean masked;
    private int selected;

    /** Of no batch yet. */
    EncoderShape() {}

    EncoderShape(int tokens, int sequences, int longest, boolean masked, int selected) {
        this.tokens = tokens;
        this.sequences = sequences;
        this.longest = longest;
        this.masked = masked;
        this.selected = selected;
    }

    /** Becomes that of a batch. */
    EncoderShape set(PackedBatch batch, boolean filled, OutputRows rows) {
        tokens = tokens(batch.totalTokens(), filled);
        sequences = sequences(batch.sequences(), filled);
        longest = filled ? longest(batch.maxSeqlen()) : batch.maxSeqlen();
        masked = batch.keyMask() != null;
        selected = selected(batch.labelledRows().length, batch.sequences(), filled, rows);
        return this;
    }

    EncoderShape copy() {
        return new EncoderShape(tokens, sequences, longest, masked, selected);
    }

    /** Rows of every activation, T or more. */
    int tokens() {
        return tokens;
    }

    /** B, or more. */
    int sequences() {
        return sequences;
    }

    /** No fewer tokens than the longest sequence has: a bound. */
    int longest() {
        return longest;
    }

    /** Rows that the last layer goes on with behind its attention, as many as a head reads or more; 0 where it reads all. */
    int selected() {
        return selected;
    }

    /** {@link #selected} for so many labelled tokens and sequences; no fewer for more. */
    static int selected(int labelled, int sequences, boolean filled, OutputRows rows) {
        return rows == OutputRows.ALL ? 0 : rows.count(0, tokens(labelled, filled), sequences(sequences, filled));
    }

    /** Rows for so many tokens; no fewer for more. */
    static int tokens(int real, boolean filled) {
        return filled ? multiple(real, TOKENS) : real;
    }

    /** Sequences for so many, one of filler among them; no fewer for more. */
    static int sequences(int real, boolean filled) {
        return filled ? multiple(Math.addExact(real, 1), SEQUENCES) : real;
    }

    /** A power of two, and at least a filler's length: a longer bound costs next to nothing, blocks that end at once. */
    private static int longest(int real) {
        return real <= TOKENS ? TOKENS : Integer.highestOneBit(real - 1) << 1;
    }

    /** The numbers of a batch's tokens, and filler's: the same over again, so that no entry of a table gathers much more than before. */
    void put(IntBuffer ints, int[] values) {
        ints.put(values);
        for (int t = values.length; t < tokens; t++) {
            ints.put(values[t % values.length]);
        }
    }

    /**
     * Rows stably sorted by their numbers: of each number's rows first the real ones, then those that repeat them.
     *
     * @param order the batch's rows, sorted so by {@code values}
     */
    void putOrder(IntBuffer ints, int[] order, int[] values) {
        if (tokens == order.length) {
            ints.put(order);
            return;
        }
        for (int from = 0, to; from < order.length; from = to) {
            for (to = from + 1; to < order.length && values[order[to]] == values[order[from]]; to++) { }
            for (int shift = 0; shift < tokens; shift += order.length) {
                for (int i = from; i < to && shift + order[i] < tokens; i++) {
                    ints.put(shift + order[i]);
                }
            }
        }
    }

    private static int multiple(int value, int of) {
        return Math.multiplyExact((value + of - 1) / of, of);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof EncoderShape shape && tokens == shape.tokens && sequences == shape.sequences && longest == shape.longest
                && masked == shape.masked && selected == shape.selected;
    }

    @Override
    public int hashCode() {
        return (((31 * tokens + sequences) * 31 + longest) * 31 + selected) * 2 + (masked ? 1 : 0);
    }

    @Override
    public String toString() {
        return tokens + " tokens in " + sequences + " sequences of at most " + longest + (masked ? ", masked" : "")
                + (selected > 0 ? ", " + selected + " rows of output" : "");
    }
}
