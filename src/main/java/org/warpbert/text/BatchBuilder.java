package org.warpbert.text;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.warpbert.WarpBertException;

/** Lays tokens end to end into a {@link PackedBatch} of known sizes: those of a sequence, then the sequence's end, and after its last the example's. */
final class BatchBuilder {
    private final int[] tokens; // [T], as the next four and the mask
    private final int[] positions;
    private final int[] segments;
    private final int[] tokenLabels; // IGNORE where there is none
    private final int[] dropoutRows;
    private final byte[] keyMask;
    private final int[] cuSeqlens; // [B + 1]
    private final int[] dropoutSequences; // [B]
    private final int[] cuExamples; // [E + 1]
    private final int[] labels; // [E, w]
    private final int width; // w
    private boolean masked;
    private int t;
    private int b;
    private int e;

    /** @param width labels of an example */
    BatchBuilder(int tokens, int sequences, int examples, int width) {
        if (sequences == 0) {
            throw new WarpBertException("A batch needs at least one sequence.");
        }
        this.tokens = new int[tokens];
        this.positions = new int[tokens];
        this.segments = new int[tokens];
        this.tokenLabels = new int[tokens];
        this.dropoutRows = new int[tokens];
        this.keyMask = new byte[tokens];
        this.cuSeqlens = new int[sequences + 1];
        this.dropoutSequences = new int[sequences];
        this.cuExamples = new int[examples + 1];
        this.labels = new int[Math.multiplyExact(examples, width)];
        this.width = width;
    }

    /** A token of a batch that is an effective batch of its own. @param label {@link PackedBatch#IGNORE} where it has none */
    void token(int id, int position, int segment, int label) {
        token(id, position, segment, label, t, true);
    }

    /**
     * A token.
     *
     * @param dropoutRow its row inside the effective batch
     * @param key        whether others may look at it
     */
    void token(int id, int position, int segment, int label, int dropoutRow, boolean key) {
        tokens[t] = id;
        positions[t] = position;
        segments[t] = segment;
        tokenLabels[t] = label;
        dropoutRows[t] = dropoutRow;
        keyMask[t] = (byte) (key ? 1 : 0);
        t++;
    }

    /** The batch gets a key mask, though no token of it need be masked. */
    void mask() {
        masked = true;
    }

    /** Tokens so far. */
    int tokens() {
        return t;
    }

    /** The sequence of the tokens since the last one's end. */
    void endSequence() {
        endSequence(b);
    }

    /** @param dropoutNumber its number inside the effective batch */
    void endSequence(int dropoutNumber) {
        dropoutSequences[b++] = dropoutNumber;
        cuSeqlens[b] = t;
    }

    /** The example of the sequences since the last one's end. @param source of its w labels, from {@code from} on */
    void endExample(int[] source, int from) {
        System.arraycopy(source, from, labels, e * width, width);
        cuExamples[++e] = b;
    }

    PackedBatch build() {
        int longest = 0;
        for (int i = 0; i < b; i++) {
            longest = Math.max(longest, cuSeqlens[i + 1] - cuSeqlens[i]);
        }
        int[] labelledRows = IntStream.range(0, t).filter(row -> tokenLabels[row] != PackedBatch.IGNORE).toArray();
        int[] theirLabels = Arrays.stream(labelledRows).map(row -> tokenLabels[row]).toArray();
        return new PackedBatch(tokens, positions, segments, cuSeqlens, cuExamples, labels, labelledRows, theirLabels, longest, dropoutRows,
                dropoutSequences, stableOrder(tokens), stableOrder(positions), masked ? keyMask : null);
    }

    /** Indices of {@code keys} (none negative) by key, then by index: both in one long makes a plain sort stable. */
    static int[] stableOrder(int[] keys) {
        long[] pairs = new long[keys.length];
        for (int i = 0; i < keys.length; i++) {
            if (keys[i] < 0) {
                throw new WarpBertException("Token " + i + " of the batch has the negative id " + keys[i] + ".");
            }
            pairs[i] = (long) keys[i] << 32 | i;
        }
        Arrays.sort(pairs);
        int[] order = new int[keys.length];
        for (int i = 0; i < order.length; i++) {
            order[i] = (int) pairs[i];
        }
        return order;
    }
}
