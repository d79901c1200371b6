package org.warpbert.model;

import org.warpbert.memory.Arena;

/** Looks on while a model runs: for inspection, not for speed. */
@FunctionalInterface
public interface LayerObserver {
    /**
     * Called after the embeddings (layer 0) and after each encoder layer (1 … L). What the tensors hold is written over later.
     *
     * @param states [T, H], the layer's output
     * @param qkv    [T, 3, A, D], queries, keys and values that the layer's attention worked on; null for layer 0
     */
    void seen(int layer, Arena.Tensor states, Arena.Tensor qkv);
}
