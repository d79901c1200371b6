package org.warpbert.model;

import org.warpbert.backend.Activation;
import org.warpbert.memory.Arena;

/** pooled = tanh([CLS] W^T + b): the dense layer before sequence heads. B sequences, H hidden size. */
public final class Pooler {
    private final Arena.Tensor first; // [B, H]
    private final Arena.Tensor product; // [B, H]
    private final Arena.Tensor pooled; // [B, H]
    private Linear dense;

    public Pooler(Arena arena, BertConfig config, PassPlan plan) {
        int b = plan.capacity().sequences();
        first = arena.add("pooler.first", plan.dtype(), b, config.hiddenSize());
        product = arena.add("pooler.product", plan.dtype(), b, config.hiddenSize());
        pooled = arena.add("pooler.pooled", plan.dtype(), b, config.hiddenSize());
    }

    /** See {@link Head#bind}. */
    public void bind(ParameterBuffers buffers) {
        dense = new Linear(buffers, "pooler.dense");
    }

    public void forward(Pass pass) {
        pass.backend.gatherRowsForward(pass.dtype(), first.address(), pass.lastHiddenState(), pass.firstTokens(),
                pass.sequences(), pass.tokens(), pass.config.hiddenSize());
        dense.forward(pass, pooled.address(), product.address(), first.address(), Activation.TANH, pass.sequences());
    }

    /** From dPooled [B, H], which is overwritten, to {@link Pass#lastHiddenStateGradient}; scratch is [B, H]. */
    public void backward(Pass pass, long dPooled, long scratch) {
        dense.backward(pass, scratch, dPooled, product.address(), first.address(), Activation.TANH, pass.sequences());
        pass.backend.gatherRowsBackward(pass.dtype(), pass.lastHiddenStateGradient(), scratch, pass.firstTokens(),
                pass.sequences(), pass.tokens(), pass.config.hiddenSize());
    }

    /** The pooled output, [B, H]. */
    public Arena.Tensor output() {
        return pooled;
    }
}
