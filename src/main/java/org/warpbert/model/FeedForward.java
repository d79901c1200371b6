package org.warpbert.model;

import org.warpbert.backend.Activation;
import org.warpbert.backend.Dtype;
import org.warpbert.backend.Gemm;

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
        if (!addsBias(p)) {
            p.multiply(w, a.up().address(), x, w.upWeight(), r, h, i);
            activate(p, layer, w);
        } else if (!p.backend.gemm().forwardActivated(p.dtype(), a.activated().address(), p.training() ? a.up().address() : 0, x, w.upWeight(), w.upBias(),
                activation(p), r, h, i)) {
            p.multiplyAndAdd(w, a.up().address(), x, w.upWeight(), w.upBias(), r, h, i);
            activate(p, layer, w);
        }
        p.multiply(w, sum, a.activated().address(), w.downWeight(), r, i, h);
        p.backend.residualLayernormForward(p.dtype(), a.output().address(), p.training() ? sum : 0,
                Activations.orNull(a.outputMean()), Activations.orNull(a.outputRstd()), sum, w.downBias(), x,
                w.outputGamma(), w.outputBeta(), p.eps(), p.hiddenDropout(), Pass.site(layer, OUTPUT), p.rng(), p.dropoutRows(layer), r, h);
    }

    /** activated = activation(up + b1), [R, I]; where the product has added b1, activation(up). */
    static void activate(Pass p, int layer, LayerAddresses w) {
        Activations.Layer a = p.activations.layers[layer];
        p.backend.biasActivationForward(p.dtype(), a.activated().address(), a.up().address(), bias(p, w), activation(p), p.rows(layer),
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
        Activation activation = activation(p);
        if (p.backend.gemm().backwardInputActivated(p.dtype(), wide, branch, w.downWeight(), a.up().address(), activation, r, i, h)) {
            activation = Activation.IDENTITY; // what is left is to sum up
        } else {
            p.backend.gemm().backwardInput(p.dtype(), wide, branch, w.downWeight(), false, r, i, h);
        }
        p.backend.biasActivationBackward(p.dtype(), wide, dw.upBias(), workspace, wide, a.up().address(), bias(p, w), activation, r, i);
        p.backend.gemm().backwardWeight(p.dtype(), dw.upWeight(), wide, a.attentionOut().address(), p.accumulate, r, h, i);
        p.backend.gemm().backwardInput(p.dtype(), dx, wide, w.upWeight(), true, r, h, i);
    }

    private static Activation activation(Pass p) {
        return Gemm.activation(p.dtype(), p.config.hiddenAct());
    }

    /** Whether up has its bias from the product. In float32 the activation's op adds it, which costs nothing; 16 bits are rounded between the two. */
    private static boolean addsBias(Pass p) {
        return p.dtype() != Dtype.F32;
    }

    /** What the activation's op has to add, or 0. */
    private static long bias(Pass p, LayerAddresses w) {
        return addsBias(p) ? 0 : w.upBias();
    }
}
