package org.warpbert.model;

import org.warpbert.memory.Arena;

/** A head that adds nothing to the encoder: {@link Head#none}. */
class NoLayers implements Head {
    private final OutputRows rows;

    NoLayers(OutputRows rows) {
        this.rows = rows;
    }

    @Override
    public final OutputRows outputRows() {
        return rows;
    }

    @Override
    public final void plan(Arena arena, BertConfig config, PassPlan plan) {}

    @Override
    public final void bind(ParameterBuffers buffers) {}

    @Override
    public void forward(Pass pass) {}
}
