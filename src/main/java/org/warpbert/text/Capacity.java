package org.warpbert.text;

/**
 * The most that batches hold: what buffers for them are sized by.
 *
 * @param tokens    T
 * @param sequences B
 * @param examples  E
 * @param labels    E · w, the examples' labels
 * @param labelled  M, tokens with a label of their own
 */
public record Capacity(int tokens, int sequences, int examples, int labels, int labelled) {
    public static final Capacity NONE = new Capacity(0, 0, 0, 0, 0);

    /** For sequences that are examples with one label each. */
    public static Capacity of(int tokens, int sequences) {
        return new Capacity(tokens, sequences, sequences, sequences, 0);
    }

    public static Capacity of(PackedBatch batch) {
        return new Capacity(batch.totalTokens(), batch.sequences(), batch.examples(), batch.labels().length,
                batch.labelledRows().length);
    }

    /** Of both together in one batch. */
    public Capacity plus(Instance instance) {
        return new Capacity(Math.addExact(tokens, instance.tokens()), Math.addExact(sequences, instance.sequences().size()), examples + 1,
                Math.addExact(labels, instance.labels().length), Math.addExact(labelled, instance.labelled()));
    }

    /** For either. */
    public Capacity max(Capacity other) {
        return new Capacity(Math.max(tokens, other.tokens), Math.max(sequences, other.sequences), Math.max(examples, other.examples),
                Math.max(labels, other.labels), Math.max(labelled, other.labelled));
    }

    /** Whether a batch of the other's sizes fits. */
    public boolean holds(Capacity other) {
        return max(other).equals(this);
    }

    @Override
    public String toString() {
        return tokens + " tokens in " + sequences + " sequences of " + examples + " examples with " + labels + " labels and " + labelled
                + " labelled tokens";
    }
}
