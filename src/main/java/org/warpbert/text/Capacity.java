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

    /** Of one example. */
    public static Capacity of(Instance instance) {
        return new Capacity(instance.tokens(), instance.sequences().size(), 1, instance.labels().length, instance.labelled());
    }

    /** Of both together in one batch. */
    public Capacity plus(Capacity other) {
        return new Capacity(Math.addExact(tokens, other.tokens), Math.addExact(sequences, other.sequences), examples + other.examples,
                Math.addExact(labels, other.labels), Math.addExact(labelled, other.labelled));
    }

    /** Of the same example with so many tokens. */
    public Capacity cutTo(int most) {
        return new Capacity(Math.min(tokens, most), sequences, examples, labels, Math.min(labelled, most));
    }

    /** For either. */
    public Capacity max(Capacity other) {
        return new Capacity(Math.max(tokens, other.tokens), Math.max(sequences, other.sequences), Math.max(examples, other.examples),
                Math.max(labels, other.labels), Math.max(labelled, other.labelled));
    }

    /** Whether a batch of the other's sizes fits. */
    public boolean holds(Capacity other) {
        return holds(other.tokens, other.sequences, other.examples, other.labels, other.labelled);
    }

    /** Whether a batch fits. */
    public boolean holds(PackedBatch batch) {
        return holds(batch.totalTokens(), batch.sequences(), batch.examples(), batch.labels().length, batch.labelledRows().length);
    }

    private boolean holds(int itsTokens, int itsSequences, int itsExamples, int itsLabels, int itsLabelled) {
        return itsTokens <= tokens && itsSequences <= sequences && itsExamples <= examples && itsLabels <= labels && itsLabelled <= labelled;
    }

    @Override
    public String toString() {
        return tokens + " tokens in " + sequences + " sequences of " + examples + " examples with " + labels + " labels and " + labelled
                + " labelled tokens";
    }
}
