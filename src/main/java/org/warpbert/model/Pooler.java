package org.warpbert.model;

import org.warpbert.backend.Activation;
import org.warpbert.memory.Arena;

/** pooled = tanh([CLS] W^T + b): the dense layer before sequence heads, which read {@link OutputRows#FIRST}. B sequences, H hidden size. */
public final class Pooler {
    private final Arena.Tensor product; // [B, H]
    private final Arena.Tensor pooled; // [B, H]
    private Linear dense;

    public Pooler(Arena arena, BertConfig config, PassPlan plan) {
        int b = plan.capacity().sequences();
        product = arena.add("pooler.product", plan.dtype(), b, config.hiddenSize());
        pooled = arena.add("pooler.pooled", plan.dtype(), b, config.hiddenSize());
    }

    /** See {@link Head#bind}. */
    public void bind(ParameterBuffers buffers) {
        dense = new Linear(buffers, "pooler.dense");
    }

    public void forward(Pass pass) {
        dense.forward(pass, pooled.address(), product.address(), pass.firstTokens(), Activation.TANH, pass.sequences());
    }

    /** From dPooled [B, H], which is overwritten, to {@link Pass#firstTokensGradient}. */
    public void backward(Pass pass, long dPooled) {
        dense.backward(pass, pass.firstTokensGradient(), dPooled, product.address(), pass.firstTokens(), Activation.TANH, pass.sequences());
    }

    /** The pooled output, [B, H]. */
    public Arena.Tensor output() {
        return pooled;
    }
}
