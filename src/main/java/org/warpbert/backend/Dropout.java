package org.warpbert.backend;

/**
 * What every dropout of a step shares: where the seed and step number stand, and which row of the effective batch each
 * row of this batch is. The place in the model ({@code site}) is given op by op. See "Dropout" in warpbert.h.
 *
 * @param rng  address of int64[2] {seed, step}, or 0 where all probabilities are 0
 * @param rows address of int32[rows], or 0 for row t itself
 */
public record Dropout(long rng, long rows) {
    /** For inference: nothing is dropped. */
    public static final Dropout NONE = new Dropout(0, 0);
}
