package org.warpbert.model;

import org.warpbert.backend.Backends;
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
 * @param frozenLevels levels from below that are not trained (see {@link ParameterTable.Slice#level}), for which nothing is saved
 * @param whole    whether batches are never computed in parts, so that each backward writes the gradients anew: until it comes to a
 *                 layer, activations of layers above stand where that layer's will be
 * @param filled   whether the encoder's buffers are for batches filled up to sizes that come back, see {@link EncoderShape}
 */
public record PassPlan(Capacity capacity, Dtype dtype, boolean training, Recompute recompute, int frozenLevels, boolean whole, boolean filled) {

    /** Where all is trained, if anything is, and batches may be parts and are not filled. */
    public PassPlan(Capacity capacity, Dtype dtype, boolean training, Recompute recompute) {
        this(capacity, dtype, training, recompute, 0, false, false);
    }

    /** Of a forward that saves everything for the backward, where there is one. */
    public PassPlan(Capacity capacity, Dtype dtype, boolean training) {
        this(capacity, dtype, training, Recompute.NONE);
    }

    /**
     * For training, of no capacity yet: see {@link #with}.
     *
     * @param device "cpu", "cuda" or "simt": where steps are launched as graphs, batches are filled
     */
    public static PassPlan training(Dtype dtype, int frozenLevels, String device) {
        return new PassPlan(Capacity.NONE, dtype, true, Recompute.NONE, frozenLevels, false, Backends.capturesGraphs(device));
    }

    /** For inference, of no capacity yet: see {@link #with}. */
    public static PassPlan inference(Dtype dtype) {
        return new PassPlan(Capacity.NONE, dtype, false);
    }

    /** Rows of the encoder's activations. */
    int encoderTokens() {
        return EncoderShape.tokens(capacity.tokens(), filled);
    }

    /** Rows that the last layer goes on with behind its attention, see {@link EncoderShape#selected}. */
    int selectedRows(OutputRows rows) {
        return EncoderShape.selected(capacity.labelled(), capacity.sequences(), filled, rows);
    }

    /** The same for other batches, which may be parts, recomputing otherwise. */
    public PassPlan with(Capacity other, Recompute level) {
        return new PassPlan(other, dtype, training, level, frozenLevels, false, filled);
    }

    /** The same for batches that may be parts. */
    PassPlan inParts() {
        return with(capacity, recompute);
    }

    /** The same for batches that are computed whole, where they train. */
    public PassPlan withWhole(Capacity other, Recompute level) {
        return new PassPlan(other, dtype, training, level, frozenLevels, training, filled);
    }
}
