package org.warpbert.model;

import java.nio.IntBuffer;
import org.warpbert.text.PackedBatch;

/**
 * The sizes at which the encoder computes a batch: all that its ops and their addresses depend on, the type and the buffers being
 * the model's. Where batches are filled these are rounded up, so that they come back: behind the real sequences stands one of filler,
 * the batch's first tokens over again, and then empty ones. No head sees them, and their gradient is 0.
 *
 * @param tokens    rows of every activation, T or more
 * @param sequences B, or more
 * @param longest   no fewer tokens than the longest sequence has: a bound
 * @param masked    whether there is a key mask
 */
record EncoderShape(int tokens, int sequences, int longest, boolean masked) {
    /** Filler is no longer than what attention reads at a time anyway. */
    private static final int TOKENS = 64;
    private static final int SEQUENCES = 8;

    static EncoderShape of(PackedBatch batch, boolean filled) {
        return new EncoderShape(tokens(batch.totalTokens(), filled), sequences(batch.sequences(), filled),
                filled ? longest(batch.maxSeqlen()) : batch.maxSeqlen(), batch.keyMask() != null);
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
}
