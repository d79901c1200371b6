package org.warpbert.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.warpbert.WarpBertException;

/**
 * B sequences laid end to end without padding, T tokens in all, of E examples. Everything that depends on the batch layout alone
 * is computed here, on the loader's thread, so that a training step only copies arrays.
 *
 * @param tokens        vocabulary ids, {@code [T]}
 * @param positions     index into the position embeddings, {@code [T]}
 * @param segments      0 or 1, {@code [T]}
 * @param cuSeqlens     where each sequence starts, and T at the end, {@code [B + 1]}
 * @param cuExamples    which sequences belong together (a question's candidates): where each example's begin, and B at the
 *                      end, {@code [E + 1]}; where every sequence is an example of its own, 0 … B
 * @param labels        what each example teaches, {@code [E, w]} with the same w for all: its class ({@link #IGNORE} where
 *                      unknown), the ends of a span, or the bits of floats
 * @param labelledRows  rows of the tokens that have labels of their own, ascending, {@code [M]}
 * @param tokenLabels   the classes of these tokens, {@code [M]}
 * @param maxSeqlen     length of the longest sequence
 * @param dropoutRows   row of each token inside the effective batch, {@code [T]}: dropout masks are drawn by this row,
 *                      so a batch split into micro-batches drops the same elements as the whole
 * @param dropoutSequences number of each sequence inside the effective batch, {@code [B]}: the same for pooled rows
 * @param wordOrder     token indices stably sorted by vocabulary id, {@code [T]}: the rows that add to one word
 *                      embedding's gradient are neighbours, in a fixed order
 * @param positionOrder token indices stably sorted by position, {@code [T]}
 * @param keyMask       0 where no token may look at this one, {@code [T]}; null, as in every packed batch: nowhere
 */
public record PackedBatch(int[] tokens, int[] positions, int[] segments, int[] cuSeqlens, int[] cuExamples, int[] labels,
                          int[] labelledRows, int[] tokenLabels, int maxSeqlen, int[] dropoutRows, int[] dropoutSequences,
                          int[] wordOrder, int[] positionOrder, byte[] keyMask) {

    /** The label that losses skip (the field's usual value). */
    public static final int IGNORE = -100;

    /** What the arrays of a batch without a key mask hold, in bytes. */
    public static long bytes(Capacity of) {
        return (6L * of.tokens() + 2L * of.sequences() + of.examples() + of.labels() + 2L * of.labelled() + 2) * Integer.BYTES;
    }

    /**
     * Packs sequences in the order given, each an example.
     *
     * @param labels class of each sequence, or null: then all are {@link #IGNORE}
     */
    public static PackedBatch of(List<Encoded> sequences, int[] labels) {
        if (labels != null && labels.length != sequences.size()) {
            throw labelCount(sequences.size(), labels.length);
        }
        List<Instance> instances = new ArrayList<>(sequences.size());
        for (int b = 0; b < sequences.size(); b++) {
            instances.add(Instance.of(sequences.get(b), labels == null ? IGNORE : labels[b]));
        }
        return of(instances);
    }

    /** Packs examples in the order given; all have the same number of labels. */
    public static PackedBatch of(List<Instance> instances) {
        List<Encoded> sequences = instances.stream().flatMap(instance -> instance.sequences().stream()).toList();
        int[] cuExamples = new int[instances.size() + 1];
        int width = instances.isEmpty() ? 0 : instances.get(0).labels().length;
        int[] labels = new int[instances.size() * width];
        for (int e = 0; e < instances.size(); e++) {
            Instance instance = instances.get(e);
            cuExamples[e + 1] = cuExamples[e] + instance.sequences().size();
            if (instance.labels().length != width) {
                throw new WarpBertException("Example " + e + " of a batch has " + instance.labels().length + " labels, example 0 has "
                        + width + ".");
            }
            System.arraycopy(instance.labels(), 0, labels, e * width, width);
        }
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
        int[] byToken = new int[total];
        Arrays.fill(byToken, IGNORE);
        int b = 0;
        for (Instance instance : instances) {
            for (int i = 0; i < instance.sequences().size(); i++, b++) {
                if (instance.tokenLabels() != null) {
                    System.arraycopy(instance.tokenLabels()[i], 0, byToken, cuSeqlens[b], cuSeqlens[b + 1] - cuSeqlens[b]);
                }
            }
        }
        int[] rows = labelled(byToken);
        return packed(tokens, positions, segments, cuSeqlens, cuExamples, labels, rows, pick(byToken, rows), identity(total),
                identity(sequences.size()));
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
        int[] known = new int[ids.length];
        Arrays.fill(known, IGNORE);
        if (labels != null) {
            if (labels.length != ids.length) {
                throw labelCount(ids.length, labels.length);
            }
            System.arraycopy(labels, 0, known, 0, labels.length);
        }
        return packed(tokens, positions, kinds, cuSeqlens, identity(ids.length + 1), known, new int[0], new int[0],
                identity(total), identity(ids.length));
    }

    /** {@link #fromPadded(int[][], int[][], int[][], int[])} without labels. */
    public static PackedBatch fromPadded(int[][] ids, int[][] attentionMask, int[][] segments) {
        return fromPadded(ids, attentionMask, segments, null);
    }

    /** The micro-batch of examples {@code from} (inclusive) to {@code to} (exclusive); see {@link #select}. */
    public PackedBatch slice(int from, int to) {
        int[] examples = new int[to - from];
        Arrays.setAll(examples, i -> from + i);
        return select(examples);
    }

    /**
     * The micro-batch of the given examples, in that order. Its {@code dropoutRows} still point into this batch, so
     * accumulated micro-batches give the gradient of the whole.
     */
    public PackedBatch select(int... examples) {
        int[] ends = new int[examples.length + 1];
        for (int i = 0; i < examples.length; i++) {
            ends[i + 1] = ends[i] + cuExamples[examples[i] + 1] - cuExamples[examples[i]];
        }
        int[] sequences = new int[ends[examples.length]];
        int[] chosen = new int[examples.length * labelWidth()];
        for (int i = 0; i < examples.length; i++) {
            int first = cuExamples[examples[i]];
            for (int b = ends[i]; b < ends[i + 1]; b++) {
                sequences[b] = first + b - ends[i];
            }
            System.arraycopy(labels, examples[i] * labelWidth(), chosen, i * labelWidth(), labelWidth());
        }
        int[] starts = new int[sequences.length + 1];
        int[] numbers = new int[sequences.length];
        for (int i = 0; i < sequences.length; i++) {
            starts[i + 1] = starts[i] + length(sequences[i]);
            numbers[i] = dropoutSequences[sequences[i]];
        }
        int[] whole = new int[totalTokens()];
        Arrays.fill(whole, IGNORE);
        for (int m = 0; m < labelledRows.length; m++) {
            whole[labelledRows[m]] = tokenLabels[m];
        }
        int total = starts[sequences.length];
        int[] ids = new int[total];
        int[] at = new int[total];
        int[] kinds = new int[total];
        int[] rows = new int[total];
        int[] byToken = new int[total];
        byte[] mask = new byte[total];
        for (int i = 0; i < sequences.length; i++) {
            int from = cuSeqlens[sequences[i]];
            int n = length(sequences[i]);
            if (keyMask != null) {
                System.arraycopy(keyMask, from, mask, starts[i], n);
            }
            System.arraycopy(tokens, from, ids, starts[i], n);
            System.arraycopy(positions, from, at, starts[i], n);
            System.arraycopy(segments, from, kinds, starts[i], n);
            System.arraycopy(dropoutRows, from, rows, starts[i], n);
            System.arraycopy(whole, from, byToken, starts[i], n);
        }
        int[] withLabel = labelled(byToken);
        PackedBatch part = packed(ids, at, kinds, starts, ends, chosen, withLabel, pick(byToken, withLabel), rows, numbers);
        return keyMask == null ? part : part.masked(mask);
    }

    /**
     * This batch as frameworks that pad compute it: every sequence {@code length} tokens long, the added ones masked as keys.
     * Real tokens keep their dropout masks, so losses and gradients are this batch's. The twin to measure packing against.
     *
     * @param padId vocabulary id of the added tokens
     */
    public PackedBatch padded(int length, int padId) {
        if (length < maxSeqlen) {
            throw new WarpBertException("A batch with a sequence of " + maxSeqlen + " tokens cannot be padded to " + length + ".");
        }
        int total = Math.multiplyExact(sequences(), length);
        int[] ids = new int[total];
        int[] at = new int[total];
        int[] kinds = new int[total];
        int[] rows = new int[total];
        byte[] real = new byte[total];
        int[] starts = new int[sequences() + 1];
        int[] moved = new int[totalTokens()]; // where each token has gone
        for (int b = 0; b < sequences(); b++) {
            starts[b + 1] = starts[b] + length;
            for (int s = 0; s < length; s++) {
                int to = starts[b] + s;
                boolean token = s < length(b);
                int from = cuSeqlens[b] + s;
                ids[to] = token ? tokens[from] : padId;
                at[to] = token ? positions[from] : s;
                kinds[to] = token ? segments[from] : 0;
                rows[to] = token ? dropoutRows[from] : totalTokens() + to; // no real token's
                real[to] = (byte) (token ? 1 : 0);
                if (token) {
                    moved[from] = to;
                }
            }
        }
        return packed(ids, at, kinds, starts, cuExamples, labels, pick(moved, labelledRows), tokenLabels, rows, dropoutSequences).masked(real);
    }

    /** T, the number of tokens; of a padded batch, padding counted. */
    public int totalTokens() {
        return tokens.length;
    }

    /** B, the number of sequences. */
    public int sequences() {
        return cuSeqlens.length - 1;
    }

    /** E, the number of examples. */
    public int examples() {
        return cuExamples.length - 1;
    }

    /** w, the labels of an example. */
    public int labelWidth() {
        return labels.length / examples();
    }

    /** Labels of examples that are not {@link #IGNORE}. */
    public int knownLabels() {
        int known = 0;
        for (int label : labels) { // no stream: it is asked once a step, which makes no object
            known += label == IGNORE ? 0 : 1;
        }
        return known;
    }

    /** Length of one sequence in tokens. */
    public int length(int sequence) {
        return cuSeqlens[sequence + 1] - cuSeqlens[sequence];
    }

    /** Tokens that the same batch has when padded to {@code maxLength}; minus T, this is the padding avoided. */
    public long paddedTokens(int maxLength) {
        return (long) sequences() * maxLength;
    }

    private static PackedBatch packed(int[] tokens, int[] positions, int[] segments, int[] cuSeqlens, int[] cuExamples, int[] labels,
                                      int[] labelledRows, int[] tokenLabels, int[] dropoutRows, int[] dropoutSequences) {
        int sequences = cuSeqlens.length - 1;
        if (sequences == 0) {
            throw new WarpBertException("A batch needs at least one sequence.");
        }
        int longest = 0;
        for (int b = 0; b < sequences; b++) {
            longest = Math.max(longest, cuSeqlens[b + 1] - cuSeqlens[b]);
        }
        return new PackedBatch(tokens, positions, segments, cuSeqlens, cuExamples, labels, labelledRows, tokenLabels, longest,
                dropoutRows, dropoutSequences, stableOrder(tokens), stableOrder(positions), null);
    }

    private PackedBatch masked(byte[] mask) {
        return new PackedBatch(tokens, positions, segments, cuSeqlens, cuExamples, labels, labelledRows, tokenLabels, maxSeqlen, dropoutRows,
                dropoutSequences, wordOrder, positionOrder, mask);
    }

    private static WarpBertException labelCount(int sequences, int labels) {
        return new WarpBertException("A batch of " + sequences + " sequences was given " + labels + " labels.");
    }

    private static int[] labelled(int[] byToken) {
        return IntStream.range(0, byToken.length).filter(t -> byToken[t] != IGNORE).toArray();
    }

    private static int[] pick(int[] values, int[] rows) {
        return Arrays.stream(rows).map(row -> values[row]).toArray();
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
