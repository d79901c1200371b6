package org.warpbert.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
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
        int width = instances.isEmpty() ? 0 : instances.get(0).labels().length;
        int tokens = 0;
        int sequences = 0;
        for (int e = 0; e < instances.size(); e++) {
            Instance instance = instances.get(e);
            if (instance.labels().length != width) {
                throw new WarpBertException("Example " + e + " of a batch has " + instance.labels().length + " labels, example 0 has "
                        + width + ".");
            }
            tokens = Math.addExact(tokens, instance.tokens());
            sequences += instance.sequences().size();
        }
        BatchBuilder batch = new BatchBuilder(tokens, sequences, instances.size(), width);
        for (Instance instance : instances) {
            for (int i = 0; i < instance.sequences().size(); i++) {
                Encoded sequence = instance.sequences().get(i);
                int[] classes = instance.tokenLabels() == null ? null : instance.tokenLabels()[i];
                for (int n = 0; n < sequence.length(); n++) {
                    batch.token(sequence.tokens()[n], n, sequence.segments()[n], classes == null ? IGNORE : classes[n]);
                }
                batch.endSequence();
            }
            batch.endExample(instance.labels(), 0);
        }
        return batch.build();
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
        if (labels != null && labels.length != ids.length) {
            throw labelCount(ids.length, labels.length);
        }
        int total = 0;
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
            total = Math.addExact(total, kept);
        }
        BatchBuilder batch = new BatchBuilder(total, ids.length, ids.length, 1);
        for (int b = 0; b < ids.length; b++) {
            for (int s = 0; s < ids[b].length; s++) {
                if (attentionMask[b][s] == 1) {
                    batch.token(ids[b][s], s, segments == null ? 0 : segments[b][s], IGNORE);
                }
            }
            batch.endSequence();
            batch.endExample(new int[] {labels == null ? IGNORE : labels[b]}, 0);
        }
        return batch.build();
    }

    /** {@link #fromPadded(int[][], int[][], int[][], int[])} without labels. */
    public static PackedBatch fromPadded(int[][] ids, int[][] attentionMask, int[][] segments) {
        return fromPadded(ids, attentionMask, segments, null);
    }

    /** How many of the labelled rows stand before a sequence, B: before the end. Its own are from this number to the next sequence's. */
    public int labelledBefore(int sequence) {
        int place = Arrays.binarySearch(labelledRows, cuSeqlens[sequence]);
        return place < 0 ? -place - 1 : place;
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
        int sequences = 0;
        int total = 0;
        for (int example : examples) {
            sequences += cuExamples[example + 1] - cuExamples[example];
            total += cuSeqlens[cuExamples[example + 1]] - cuSeqlens[cuExamples[example]];
        }
        BatchBuilder part = new BatchBuilder(total, sequences, examples.length, labelWidth());
        int[] classes = labelsOfTokens();
        for (int example : examples) {
            for (int b = cuExamples[example]; b < cuExamples[example + 1]; b++) {
                for (int t = cuSeqlens[b]; t < cuSeqlens[b + 1]; t++) {
                    part.token(tokens[t], positions[t], segments[t], classes[t], dropoutRows[t], keyMask == null || keyMask[t] != 0);
                }
                part.endSequence(dropoutSequences[b]);
            }
            part.endExample(labels, example * labelWidth());
        }
        if (keyMask != null) {
            part.mask();
        }
        return part.build();
    }

    /** The class of each token, {@link #IGNORE} where it has none, {@code [T]}. */
    private int[] labelsOfTokens() {
        int[] classes = new int[totalTokens()];
        Arrays.fill(classes, IGNORE);
        for (int m = 0; m < labelledRows.length; m++) {
            classes[labelledRows[m]] = tokenLabels[m];
        }
        return classes;
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
        BatchBuilder batch = new BatchBuilder(Math.multiplyExact(sequences(), length), sequences(), examples(), labelWidth());
        int[] classes = labelsOfTokens();
        for (int e = 0; e < examples(); e++) {
            for (int b = cuExamples[e]; b < cuExamples[e + 1]; b++) {
                for (int s = 0; s < length; s++) {
                    int t = cuSeqlens[b] + s;
                    if (s < length(b)) {
                        batch.token(tokens[t], positions[t], segments[t], classes[t], dropoutRows[t], true);
                    } else { // its dropout row is no real token's
                        batch.token(padId, s, 0, IGNORE, totalTokens() + batch.tokens(), false);
                    }
                }
                batch.endSequence(dropoutSequences[b]);
            }
            batch.endExample(labels, e * labelWidth());
        }
        batch.mask();
        return batch.build();
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

    private static WarpBertException labelCount(int sequences, int labels) {
        return new WarpBertException("A batch of " + sequences + " sequences was given " + labels + " labels.");
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
}
