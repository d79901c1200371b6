package org.warpbert.model;

/**
 * Multi-head self-attention with its output projection, residual and LayerNorm (Vaswani et al. 2017, section 3.2;
 * post-norm). T tokens, H hidden size; behind the attention R rows, which are T but in a last layer whose head reads fewer.
 */
final class SelfAttention {
    private static final int PROBABILITIES = 0; // dropout places inside a layer
    private static final int OUTPUT = 1;

    private SelfAttention() {}

    /** attentionOut [R, H] = LayerNorm(dropout(attention(input) Wo^T + bo) + input); input is [T, H]. */
    static void forward(Pass p, int layer, LayerAddresses w, long input) {
        attend(p, layer, w, input);
        Activations.Layer a = p.activations.layers[layer];
        int r = p.rows(layer);
        int h = p.config.hiddenSize();
        long context = a.context().address();
        long residual = input;
        if (p.selects(layer)) {
            Activations.Selected s = p.activations.selected;
            p.select(s.context().address(), context);
            p.select(s.input().address(), input);
            context = s.context().address();
            residual = s.input().address();
        }
        long sum = a.attentionSum().address();
        p.multiply(w, sum, context, w.attentionWeight(), r, h, h);
        p.backend.residualLayernormForward(p.dtype(), a.attentionOut().address(), p.training() ? sum : 0,
                Activations.orNull(a.attentionMean()), Activations.orNull(a.attentionRstd()), sum, w.attentionBias(),
                residual, w.attentionGamma(), w.attentionBeta(), p.eps(), p.hiddenDropout(), Pass.site(layer, OUTPUT),
                p.rng(), p.dropoutRows(layer), r, h);
    }

    /** qkv = input Wqkv^T + bqkv, [T, 3H]; context = attention(qkv), [T, H], of those that a selecting layer reads at least. */
    static void attend(Pass p, int layer, LayerAddresses w, long input) {
        Activations.Layer a = p.activations.layers[layer];
        int t = p.encoderTokens();
        int h = p.config.hiddenSize();
        int headSize = p.config.headSize();
        long qkv = a.qkv().address();
        p.multiplyAndAdd(w, qkv, input, w.qkvWeight(), w.qkvBias(), t, h, 3 * h);
        p.backend.attentionForward(p.dtype(), a.context().address(), Activations.orNull(a.lse()), qkv, p.batch.encoderCuSeqlens(), p.batch.keyMask(),
                scale(headSize), p.attentionDropout(), Pass.site(layer, PROBABILITIES), p.rng(), p.dropoutRows(), t,
                p.batch.shape().sequences(), p.config.numAttentionHeads(), headSize, p.batch.shape().longest(), p.queries(layer));
    }

    /** From backward.residual (of attentionOut, [R, H]) to backward.gradient, that of the layer's input [T, H] where it is {@code wanted}. */
    static void backward(Pass p, int layer, LayerAddresses w, LayerAddresses dw, long input, boolean wanted) {
        Activations.Layer a = p.activations.layers[layer];
        Activations.Backward b = p.activations.backward;
        int t = p.encoderTokens();
        int r = p.rows(layer);
        int h = p.config.hiddenSize();
        int heads = p.config.numAttentionHeads();
        int headSize = p.config.headSize();
        long branch = b.branch().address();
        long dqkv = b.wide().address();
        long dInput = b.gradient().address();
        long workspace = b.workspace().address();
        long dContext = b.residual().address(); // once its gradient has been taken over
        boolean selects = p.selects(layer);
        long context = (selects ? p.activations.selected.context() : a.context()).address();
        long dResidual = selects ? p.activations.selected.input().address() : dInput; // [R, H]
        long dRows = selects ? dqkv : dContext; // [R, H], of the context; where dqkv will be is room
        p.backend.residualLayernormBackward(p.dtype(), branch, dResidual, dw.attentionBias(), dw.attentionGamma(),
                dw.attentionBeta(), workspace, b.residual().address(), a.attentionSum().address(),
                a.attentionMean().address(), a.attentionRstd().address(), w.attentionGamma(), p.hiddenDropout(),
                Pass.site(layer, OUTPUT), p.rng(), p.dropoutRows(layer), r, h);
        p.backend.gemm().backwardWeight(p.dtype(), dw.attentionWeight(), branch, context, p.accumulate, r, h, h);
        p.backend.gemm().backwardInput(p.dtype(), dRows, branch, w.attentionWeight(), false, r, h, h);
        if (selects) {
            p.selectBackward(dContext, dRows);
            p.selectBackward(dInput, dResidual);
        }
        p.backend.attentionBackward(p.dtype(), dqkv, dw.qkvBias(), workspace, dContext, a.context().address(), a.lse().address(),
                a.qkv().address(), p.batch.encoderCuSeqlens(), p.batch.keyMask(), scale(headSize), p.attentionDropout(),
                Pass.site(layer, PROBABILITIES), p.rng(), p.dropoutRows(), t, p.batch.shape().sequences(), heads, headSize,
                p.batch.shape().longest(), p.queries(layer));
        p.backend.gemm().backwardWeight(p.dtype(), dw.qkvWeight(), dqkv, input, p.accumulate, t, h, 3 * h);
        if (wanted) {
            p.backend.gemm().backwardInput(p.dtype(), dInput, dqkv, w.qkvWeight(), true, t, h, 3 * h);
        }
    }

    private static float scale(int headSize) {
        return (float) (1 / Math.sqrt(headSize));
    }
}
