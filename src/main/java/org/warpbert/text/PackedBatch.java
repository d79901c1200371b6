package org.warpbert.text;

import java.util.Arrays;
import java.util.List;
import org.warpbert.WarpBertException;

/**
 * B sequences laid end to end without padding, T tokens in all. Everything that depends on the batch layout alone
 * is computed here, on the loader's thread, so that a training step only copies arrays.
 *
 * @param tokens        vocabulary ids, {@code [T]}
 * @param positions     index into the position embeddings, {@code [T]}
 * @param segments      0 or 1, {@code [T]}
 * @param cuSeqlens     where each sequence starts, and T at the end, {@code [B + 1]}
 * @param labels        class of each sequence, {@link #IGNORE} where unknown, {@code [B]}
 * @param maxSeqlen     length of the longest sequence
 * @param dropoutRows   row of each token inside the effective batch, {@code [T]}: dropout masks are drawn by this row,
 *                      so a batch split into micro-batches drops the same elements as the whole
 * @param dropoutSequences number of each sequence inside the effective batch, {@code [B]}: the same for pooled rows
 * @param wordOrder     token indices stably sorted by vocabulary id, {@code [T]}: the rows that add to one word
 *                      embedding's gradient are neighbours, in a fixed order
 * @param positionOrder token indices stably sorted by position, {@code [T]}
 */
public record PackedBatch(int[] tokens, int[] positions, int[] segments, int[] cuSeqlens, int[] labels, int maxSeqlen,
                          int[] dropoutRows, int[] dropoutSequences, int[] wordOrder, int[] positionOrder) {

    /** The label that losses skip (the field's usual value). */
    public static final int IGNORE = -100;

    /**
     * Packs sequences in the order given.
     *
     * @param labels class of each sequence, or null: then all are {@link #IGNORE}
     */
    public static PackedBatch of(List<Encoded> sequences, int[] labels) {
        int[] cuSeqlens = new int[sequences.size() + 1];
        for (int b = 0; b < sequences.size(); b++) {
            cuSeqlens[b + 1] = Math.addExact(cuSeqlens[b], sequences.get(b).length());
        }
        int total = cuSeqlens[sequences.size()];
        int[] tokens = new int[total];
        int[] positions = new int[total];
        int[] segments = new int[total];
        for (int b = 0; b < sequences.size(); b++) {
            Encoded sequence = sequences.get(b);
            System.arraycopy(sequence.tokens(), 0, tokens, cuSeqlens[b], sequence.length());
            for (int i = 0; i < sequence.length(); i++) {
                positions[cuSeqlens[b] + i] = i;
                segments[cuSeqlens[b] + i] = sequence.segments()[i];
            }
        }
        return packed(tokens, positions, segments, cuSeqlens, labels, identity(total), identity(sequences.size()));
    }

    /**
     * Packs a padded batch: keeps the tokens where the mask is 1, in order, each with the position it had in the
     * padded row, so masks with holes or left padding mean what they mean in a padded model. The first kept token of
     * a row is the one that the pooler reads.
     *
     * @param ids           {@code [B][S]}
     * @param attentionMask 0 or 1, {@code [B][S]}
     * @param segments      {@code [B][S]}, or null for all 0
     * @param labels        {@code [B]}, or null
     * @throws WarpBertException naming the row, if shapes differ, a mask is neither 0 nor 1, or a row keeps nothing
     */
    public static PackedBatch fromPadded(int[][] ids, int[][] attentionMask, int[][] segments, int[] labels) {
        requireShape("attention mask", attentionMask, ids);
        if (segments != null) {
            requireShape("segments", segments, ids);
        }
        int[] cuSeqlens = new int[ids.length + 1];
        for (int b = 0; b < ids.length; b++) {
            int kept = 0;
            for (int mask : attentionMask[b]) {
                if (mask != 0 && mask != 1) {
                    throw new WarpBertException("The attention mask of row " + b + " holds " + mask
                            + "; it must hold 1 for a token and 0 for padding.");
                }
                kept += mask;
            }
            if (kept == 0) {
                throw new WarpBertException("The attention mask of row " + b + " keeps no token; leave the row out.");
            }
            cuSeqlens[b + 1] = Math.addExact(cuSeqlens[b], kept);
        }
        int total = cuSeqlens[ids.length];
        int[] tokens = new int[total];
        int[] positions = new int[total];
        int[] kinds = new int[total];
        int t = 0;
        for (int b = 0; b < ids.length; b++) {
            for (int s = 0; s < ids[b].length; s++) {
                if (attentionMask[b][s] == 1) {
                    tokens[t] = ids[b][s];
                    positions[t] = s;
                    kinds[t++] = segments == null ? 0 : segments[b][s];
                }
            }
        }
        return packed(tokens, positions, kinds, cuSeqlens, labels, identity(total), identity(ids.length));
    }

    /** {@link #fromPadded(int[][], int[][], int[][], int[])} without labels. */
    public static PackedBatch fromPadded(int[][] ids, int[][] attentionMask, int[][] segments) {
        return fromPadded(ids, attentionMask, segments, null);
    }

    /** The micro-batch of sequences {@code from} (inclusive) to {@code to} (exclusive); see {@link #select}. */
    public PackedBatch slice(int from, int to) {
        int[] sequences = new int[to - from];
        Arrays.setAll(sequences, i -> from + i);
        return select(sequences);
    }

    /**
     * The micro-batch of the given sequences, in that order. Its {@code dropoutRows} still point into this batch, so
     * accumulated micro-batches give the gradient of the whole.
     */
    public PackedBatch select(int... sequences) {
        int[] starts = new int[sequences.length + 1];
        int[] chosen = new int[sequences.length];
        int[] numbers = new int[sequences.length];
        for (int i = 0; i < sequences.length; i++) {
            starts[i + 1] = starts[i] + length(sequences[i]);
            chosen[i] = labels[sequences[i]];
            numbers[i] = dropoutSequences[sequences[i]];
        }
        int total = starts[sequences.length];
        int[] ids = new int[total];
        int[] at = new int[total];
        int[] kinds = new int[total];
        int[] rows = new int[total];
        for (int i = 0; i < sequences.length; i++) {
            int from = cuSeqlens[sequences[i]];
            int n = length(sequences[i]);
            System.arraycopy(tokens, from, ids, starts[i], n);
            System.arraycopy(positions, from, at, starts[i], n);
            System.arraycopy(segments, from, kinds, starts[i], n);
            System.arraycopy(dropoutRows, from, rows, starts[i], n);
        }
        return packed(ids, at, kinds, starts, chosen, rows, numbers);
    }

    /** T, the number of real tokens. */
    public int totalTokens() {
        return tokens.length;
    }

    /** B, the number of sequences. */
    public int sequences() {
        return cuSeqlens.length - 1;
    }

    /** Length of one sequence in tokens. */
    public int length(int sequence) {
        return cuSeqlens[sequence + 1] - cuSeqlens[sequence];
    }

    /** Tokens that the same batch has when padded to {@code maxLength}; minus T, this is the padding avoided. */
    public long paddedTokens(int maxLength) {
        return (long) sequences() * maxLength;
    }

    private static PackedBatch packed(int[] tokens, int[] positions, int[] segments, int[] cuSeqlens, int[] labels,
                                      int[] dropoutRows, int[] dropoutSequences) {
        int sequences = cuSeqlens.length - 1;
        if (sequences == 0) {
            throw new WarpBertException("A batch needs at least one sequence.");
        }
        if (labels != null && labels.length != sequences) {
            throw new WarpBertException(
                    "A batch of " + sequences + " sequences was given " + labels.length + " labels.");
        }
        int[] known = labels == null ? new int[sequences] : labels.clone();
        if (labels == null) {
            Arrays.fill(known, IGNORE);
        }
        int longest = 0;
        for (int b = 0; b < sequences; b++) {
            longest = Math.max(longest, cuSeqlens[b + 1] - cuSeqlens[b]);
        }
        return new PackedBatch(tokens, positions, segments, cuSeqlens, known, longest, dropoutRows,
                dropoutSequences, stableOrder(tokens), stableOrder(positions));
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

    private static void requireShape(String name, int[][] rows, int[][] like) {
        if (rows.length != like.length) {
            throw new WarpBertException("The " + name + " has " + rows.length + " rows, the ids " + like.length + ".");
        }
        for (int b = 0; b < rows.length; b++) {
            if (rows[b].length != like[b].length) {
                throw new WarpBertException("Row " + b + " of the " + name + " has " + rows[b].length
                        + " entries, of the ids " + like[b].length + ".");
            }
        }
    }

    private static int[] identity(int n) {
        int[] rows = new int[n];
        Arrays.setAll(rows, i -> i);
        return rows;
    }
}
