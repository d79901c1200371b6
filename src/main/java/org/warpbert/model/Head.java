package org.warpbert.model;

import java.util.Arrays;
import java.util.List;
import org.warpbert.WarpBertException;
import org.warpbert.memory.Arena;
import org.warpbert.text.PackedBatch;

/**
 * What stands on the encoder: a task's layers, loss and their backward. A head adds its tensors to the arena before it
 * is allocated, and learns where its parameters are.
 */
public interface Head {
    /** Adds every tensor that a pass over at most the plan's capacity needs; a backward's only for training. */
    void plan(Arena arena, BertConfig config, PassPlan plan);

    /** Says where the parameters and, for training, their gradients are. */
    void bind(ParameterBuffers buffers);

    /** The rows of the encoder's output that this reads: no others are computed. */
    default OutputRows outputRows() {
        return OutputRows.ALL;
    }

    /** From {@link Pass#lastHiddenState} to the head's outputs. */
    void forward(Pass pass);

    /** Terms that the loss is the sum of. */
    default int terms() {
        return 1;
    }

    /**
     * What the summed losses of one term over a batch are divided by: the number of its labelled examples or tokens, or the sum
     * of their weights. Micro-batches' normalisers add up to the whole batch's.
     *
     * @param term 0 for the first
     */
    default double normaliser(PackedBatch batch, int term) {
        throw noLoss();
    }

    /** That of every term. */
    default double[] normalisers(PackedBatch batch) {
        double[] normalisers = new double[terms()];
        Arrays.setAll(normalisers, term -> normaliser(batch, term));
        return normalisers;
    }

    /**
     * From the outputs to losses, the head's parameters' gradients and {@link Pass#lastHiddenStateGradient}. A head for
     * inference alone has none of this.
     *
     * @param gradientScales for each term of the loss, the factor of its summed losses' gradient: 1 / the effective batch's
     *                       normaliser
     */
    default void backward(Pass pass, float[] gradientScales) {
        throw noLoss();
    }

    /** Losses of the batch last forwarded, without gradients. */
    default void evaluate(Pass pass) {
        throw noLoss();
    }

    /** For each term, the losses of the batch last run backward or evaluated, on the device: the same list from {@link #plan} on. */
    default List<LossTerm> lossTerms() {
        throw noLoss();
    }

    /** For each term, the sum of {@link #lossTerms}, which this waits for. */
    default double[] lossSums() {
        return lossTerms().stream().mapToDouble(LossTerm::sum).toArray();
    }

    /** The loss of summed losses: each term by its normaliser, and a term that nothing had a label for left out. */
    static double loss(double[] sums, double[] normalisers) {
        double loss = 0;
        for (int k = 0; k < sums.length; k++) {
            loss += normalisers[k] == 0 ? sums[k] : sums[k] / normalisers[k]; // sums[k] is 0 there, or NaN that must not pass unseen
        }
        return loss;
    }

    private WarpBertException noLoss() {
        return new WarpBertException(getClass().getSimpleName() + " is for inference: it has no loss");
    }

    /** No head: the encoder's output is what is wanted. */
    Head NONE = none(OutputRows.ALL);

    /** No head: these rows of the encoder's output are what is wanted. */
    static Head none(OutputRows rows) {
        return new NoLayers(rows);
    }
}
