package org.warpbert.model;

import org.warpbert.backend.Dtype;
import org.warpbert.memory.Recompute;
import org.warpbert.text.Capacity;

/**
 * What a model's buffers are made for.
 *
 * @param capacity the largest batch
 * @param dtype    of activations and products
 * @param training whether the forward saves for a backward and drops out
 * @param recompute what of it the forward does not save; {@link Recompute#NONE} without training
 */
public record PassPlan(Capacity capacity, Dtype dtype, boolean training, Recompute recompute) {

    /** Of a forward that saves everything for the backward, where there is one. */
    public PassPlan(Capacity capacity, Dtype dtype, boolean training) {
        this(capacity, dtype, training, Recompute.NONE);
    }

    /** Of whatever capacity and recomputation: to be asked for {@link #with} some. */
    public static PassPlan any(Dtype dtype, boolean training) {
        return new PassPlan(Capacity.NONE, dtype, training);
    }

    /** The same for other batches, recomputing otherwise. */
    public PassPlan with(Capacity other, Recompute level) {
        return new PassPlan(other, dtype, training, level);
    }
}
