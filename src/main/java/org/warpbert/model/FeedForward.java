package org.warpbert.model;

import org.warpbert.backend.Activation;

/** The position-wise feed-forward sublayer with its residual and LayerNorm. R rows ({@link Pass#rows}), H hidden, I intermediate size. */
final class FeedForward {
    private static final int OUTPUT = 2; // dropout place inside a layer

    private FeedForward() {}

    /** output = LayerNorm(dropout(activation(x W1^T + b1) W2^T + b2) + x), x = attentionOut [R, H]. */
    static void forward(Pass p, int layer, LayerAddresses w) {
        Activations.Layer a = p.activations.layers[layer];
        int r = p.rows(layer);
        int h = p.config.hiddenSize();
        int i = p.config.intermediateSize();
        long x = a.attentionOut().address();
        long sum = a.outputSum().address();
        p.multiply(w, a.up().address(), x, w.upWeight(), r, h, i);
        activate(p, layer, w);
        p.multiply(w, sum, a.activated().address(), w.downWeight(), r, i, h);
        p.backend.residualLayernormForward(p.dtype(), a.output().address(), p.training() ? sum : 0,
                Activations.orNull(a.outputMean()), Activations.orNull(a.outputRstd()), sum, w.downBias(), x,
                w.outputGamma(), w.outputBeta(), p.eps(), p.hiddenDropout(), Pass.site(layer, OUTPUT), p.rng(), p.dropoutRows(layer), r, h);
    }

    /** activated = activation(up + b1), [R, I]. */
    static void activate(Pass p, int layer, LayerAddresses w) {
        Activations.Layer a = p.activations.layers[layer];
        p.backend.biasActivationForward(p.dtype(), a.activated().address(), a.up().address(), w.upBias(), activation(p), p.rows(layer),
                p.config.intermediateSize());
    }

    /** From backward.gradient (of output) to backward.residual (of attentionOut). */
    static void backward(Pass p, int layer, LayerAddresses w, LayerAddresses dw) {
        Activations.Layer a = p.activations.layers[layer];
        Activations.Backward b = p.activations.backward;
        int r = p.rows(layer);
        int h = p.config.hiddenSize();
        int i = p.config.intermediateSize();
        long branch = b.branch().address();
        long dx = b.residual().address();
        long wide = b.wide().address(); // [R, I]: of activated, then of up
        long workspace = b.workspace().address();
        p.backend.residualLayernormBackward(p.dtype(), branch, dx, dw.downBias(), dw.outputGamma(), dw.outputBeta(),
                workspace, b.gradient().address(), a.outputSum().address(), a.outputMean().address(),
                a.outputRstd().address(), w.outputGamma(), p.hiddenDropout(), Pass.site(layer, OUTPUT), p.rng(), p.dropoutRows(layer), r, h);
        p.backend.gemm().backwardWeight(p.dtype(), dw.downWeight(), branch, a.activated().address(), p.accumulate, r, i, h);
        p.backend.gemm().backwardInput(p.dtype(), wide, branch, w.downWeight(), false, r, i, h);
        p.backend.biasActivationBackward(p.dtype(), wide, dw.upBias(), workspace, wide, a.up().address(), w.upBias(),
                activation(p), r, i);
        p.backend.gemm().backwardWeight(p.dtype(), dw.upWeight(), wide, a.attentionOut().address(), p.accumulate, r, h, i);
        p.backend.gemm().backwardInput(p.dtype(), dx, wide, w.upWeight(), true, r, h, i);
    }

    private static Activation activation(Pass p) {
        return p.config.hiddenAct();
    }
}
