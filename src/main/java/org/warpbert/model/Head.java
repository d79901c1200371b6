package org.warpbert.model;

import org.warpbert.WarpBertException;
import org.warpbert.memory.Arena;

/**
 * What stands on the encoder: a task's layers, loss and their backward. A head adds its tensors to the arena before it
 * is allocated, and learns where its parameters are.
 */
public interface Head {
    /** Adds every tensor that a pass over at most these sizes needs; a backward's only for {@code training}. */
    void plan(Arena arena, BertConfig config, int maxTokens, int maxSequences, boolean training);

    /** Says where the flat weights and, for training, their gradients (else 0) start. */
    void bind(ParameterTable table, long weights, long gradients);

    /** From {@link Pass#lastHiddenState} to the head's outputs. */
    void forward(Pass pass);

    /**
     * From the outputs to losses, the head's parameters' gradients and {@link Pass#lastHiddenStateGradient}. A head for
     * inference alone has none of this.
     *
     * @param gradientScale factor of the gradient of the summed losses: 1 / the effective batch's normaliser
     */
    default void backward(Pass pass, float gradientScale) {
        throw noLoss();
    }

    /** Losses of the batch last forwarded, without gradients. */
    default void evaluate(Pass pass) {
        throw noLoss();
    }

    /** Losses of the items (sequences or tokens) of the batch last run backward or evaluated; 0 where an item has no label. */
    default float[] losses() {
        throw noLoss();
    }

    private WarpBertException noLoss() {
        return new WarpBertException(getClass().getSimpleName() + " is for inference: it has no loss");
    }

    /** No head: the encoder's output is what is wanted. */
    Head NONE = new Head() {
        @Override
        public void plan(Arena arena, BertConfig config, int maxTokens, int maxSequences, boolean training) {}

        @Override
        public void bind(ParameterTable table, long weights, long gradients) {}

        @Override
        public void forward(Pass pass) {}
    };
}
