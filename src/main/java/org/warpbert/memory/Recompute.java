package org.warpbert.memory;

import java.util.Locale;

/**
 * What the forward does not keep for the backward, which computes it again (Chen et al. 2016); each level also leaves out
 * what those before it do. Per token and layer, of hidden size H and intermediate size I.
 */
public enum Recompute {
    /** Everything is kept: 8H + 2I. */
    NONE,
    /** Not the outputs of the activation and of LayerNorm, which cost no product: 6H + I are kept. */
    OUTPUTS,
    /** Nor query, key, value and attention's output: 2H + I are kept. */
    ATTENTION,
    /** Nothing but each layer's output: H. */
    LAYERS;

    /** Whether the outputs of activation and first LayerNorm are kept. */
    public boolean keepsOutputs() {
        return this == NONE;
    }

    /** Whether each layer's output is kept. */
    public boolean keepsLayerOutput() {
        return this == NONE || this == LAYERS;
    }

    /** Whether query, key and value and what attention makes of them are kept. */
    public boolean keepsAttention() {
        return this == NONE || this == OUTPUTS;
    }

    /** Whether the inputs of activation and LayerNorm are kept. */
    public boolean keepsInputs() {
        return this != LAYERS;
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
