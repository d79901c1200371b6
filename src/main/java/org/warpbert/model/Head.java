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
     * From the outputs to losses, the head's parameters' gradients and {@link Pass#lastHiddenStateGradient}.
     *
     * @param gradientScale factor of the gradient of the summed losses: 1 / the effective batch's normaliser
     */
    void backward(Pass pass, float gradientScale);

    /** Losses of the batch last forwarded, without gradients. */
    void evaluate(Pass pass);

    /** Losses of the items (sequences or tokens) of the batch last run backward or evaluated; 0 where an item has no label. */
    float[] losses();

    /** No head: the encoder's output is what is wanted. */
    Head NONE = new Head() {
        @Override
        public void plan(Arena arena, BertConfig config, int maxTokens, int maxSequences, boolean training) {}

        @Override
        public void bind(ParameterTable table, long weights, long gradients) {}

        @Override
        public void forward(Pass pass) {}

        @Override
        public void backward(Pass pass, float gradientScale) {
            throw new WarpBertException("an encoder without a head has no loss");
        }

        @Override
        public void evaluate(Pass pass) {
            throw new WarpBertException("an encoder without a head has no loss");
        }

        @Override
        public float[] losses() {
            throw new WarpBertException("an encoder without a head has no loss");
        }
    };
}
