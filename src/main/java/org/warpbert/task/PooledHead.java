package org.warpbert.task;

import org.warpbert.memory.Arena;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.OutputRows;
import org.warpbert.model.ParameterBuffers;
import org.warpbert.model.Pass;
import org.warpbert.model.PassPlan;
import org.warpbert.model.Pooler;

/** The pooler alone, as a feature: tanh of a dense layer on [CLS]. For inference. */
final class PooledHead implements Head {
    private Pooler pooler;
    private int elements;

    @Override
    public void plan(Arena arena, BertConfig config, PassPlan plan) {
        pooler = new Pooler(arena, config, plan);
    }

    @Override
    public OutputRows outputRows() {
        return OutputRows.FIRST;
    }

    @Override
    public void bind(ParameterBuffers buffers) {
        pooler.bind(buffers);
    }

    @Override
    public void forward(Pass pass) {
        pooler.forward(pass);
        elements = Math.multiplyExact(pass.sequences(), pass.config().hiddenSize());
    }

    /** Row-major [B, H] of the batch last forwarded. */
    float[] pooled() {
        return pooler.output().downloadFloats(elements);
    }
}
