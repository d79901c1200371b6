package org.warpbert.task;

import org.warpbert.memory.Arena;
import org.warpbert.model.Pass;

/** What a {@link ClassificationHead}'s logits are learned by. B sequences, C classes. */
interface LogitLoss {
    /** Adds what the loss keeps on the device beside the logits. */
    default void plan(Arena arena, int classes) {}

    /** Fills that in. */
    default void bind() {}

    /** Losses of one sequence. */
    int width(int classes);

    /** What the summed losses of examples with these labels are divided by; see {@link org.warpbert.model.Head#normalisers}. */
    double normaliser(int[] labels);

    /**
     * Losses and, where {@code gradient} is not 0, the logits' gradient.
     *
     * @param losses   float32 [B, {@link #width}]
     * @param gradient [B, C], or 0
     * @param logits   [B, C]
     */
    void compute(Pass pass, long losses, long gradient, long logits, float gradientScale, int classes);
}
