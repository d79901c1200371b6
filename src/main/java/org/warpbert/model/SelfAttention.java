package org.warpbert.model;

import org.warpbert.backend.Activation;

/**
 * Multi-head self-attention with its output projection, residual and LayerNorm (Vaswani et al. 2017, section 3.2;
 * post-norm). T tokens, H hidden size.
 */
final class SelfAttention {
    private static final int PROBABILITIES = 0; // dropout places inside a layer
    private static final int OUTPUT = 1;

    private SelfAttention() {}

    /** attentionOut = LayerNorm(dropout(attention(input) Wo^T + bo) + input); input is [T, H]. */
    static void forward(Pass p, int layer, LayerAddresses w, long input) {
        attend(p, layer, w, input);
        Activations.Layer a = p.activations.layers[layer];
        int t = p.encoderTokens();
        int h = p.config.hiddenSize();
        long sum = a.attentionSum().address();
        p.multiply(w, sum, a.context().address(), w.attentionWeight(), h, h);
        p.backend.residualLayernormForward(p.dtype(), a.attentionOut().address(), p.training() ? sum : 0,
                Activations.orNull(a.attentionMean()), Activations.orNull(a.attentionRstd()), sum, w.attentionBias(),
                input, w.attentionGamma(), w.attentionBeta(), p.eps(), p.hiddenDropout(), Pass.site(layer, OUTPUT),
                p.rng(), p.dropoutRows(), t, h);
    }

    /** qkv = input Wqkv^T + bqkv, [T, 3H]; context = attention(qkv), [T, H]. */
    static void attend(Pass p, int layer, LayerAddresses w, long input) {
        Activations.Layer a = p.activations.layers[layer];
        int t = p.encoderTokens();
        int h = p.config.hiddenSize();
        int headSize = p.config.headSize();
        long qkv = a.qkv().address();
        p.multiplyAndAdd(w, qkv, input, w.qkvWeight(), w.qkvBias(), h, 3 * h);
        p.backend.attentionForward(p.dtype(), a.context().address(), Activations.orNull(a.lse()), qkv, p.batch.encoderCuSeqlens(), p.batch.keyMask(),
                scale(headSize), p.attentionDropout(), Pass.site(layer, PROBABILITIES), p.rng(), p.dropoutRows(), t,
                p.batch.shape().sequences(), p.config.numAttentionHeads(), headSize, p.batch.shape().longest());
    }

    /** From backward.residual (of attentionOut) to backward.gradient, that of the layer's input where it is {@code wanted}. */
    static void backward(Pass p, int layer, LayerAddresses w, LayerAddresses dw, long input, boolean wanted) {
        Activations.Layer a = p.activations.layers[layer];
        Activations.Backward b = p.activations.backward;
        int t = p.encoderTokens();
        int h = p.config.hiddenSize();
        int heads = p.config.numAttentionHeads();
        int headSize = p.config.headSize();
        long branch = b.branch().address();
        long dqkv = b.wide().address();
        long dInput = b.gradient().address();
        long workspace = b.workspace().address();
        p.backend.residualLayernormBackward(p.dtype(), branch, dInput, dw.attentionBias(), dw.attentionGamma(),
                dw.attentionBeta(), workspace, b.residual().address(), a.attentionSum().address(),
                a.attentionMean().address(), a.attentionRstd().address(), w.attentionGamma(), p.hiddenDropout(),
                Pass.site(layer, OUTPUT), p.rng(), p.dropoutRows(), t, h);
        p.backend.gemm().backwardWeight(p.dtype(), dw.attentionWeight(), branch, a.context().address(), p.accumulate, t, h, h);
        long dContext = b.residual().address(); // its gradient has been taken over
        p.backend.gemm().backwardInput(p.dtype(), dContext, branch, w.attentionWeight(), false, t, h, h);
        p.backend.attentionBackward(p.dtype(), dqkv, workspace, dContext, a.context().address(), a.lse().address(),
                a.qkv().address(), p.batch.encoderCuSeqlens(), p.batch.keyMask(), scale(headSize), p.attentionDropout(),
                Pass.site(layer, PROBABILITIES), p.rng(), p.dropoutRows(), t, p.batch.shape().sequences(), heads, headSize,
                p.batch.shape().longest());
        p.backend.biasActivationBackward(p.dtype(), dqkv, dw.qkvBias(), workspace, dqkv, 0, 0, Activation.IDENTITY, t, 3L * h);
        p.backend.gemm().backwardWeight(p.dtype(), dw.qkvWeight(), dqkv, input, p.accumulate, t, h, 3 * h);
        if (wanted) {
            p.backend.gemm().backwardInput(p.dtype(), dInput, dqkv, w.qkvWeight(), true, t, h, 3 * h);
        }
    }

    private static float scale(int headSize) {
        return (float) (1 / Math.sqrt(headSize));
    }
}
