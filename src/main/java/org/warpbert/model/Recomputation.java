package org.warpbert.model;

import org.warpbert.memory.Recompute;

/**
 * Brings back, layer by layer and right before its use in the backward, what the forward did not keep: the same ops on the
 * same numbers, and dropout drawn again, so that the gradients are those of a forward that kept everything (but where a product activated
 * sums that it had not rounded yet: an op activates what was kept of them, which differs in the last bits). What is not kept
 * stands in buffers that all layers share; the last layer's are still there when the backward begins.
 */
final class Recomputation {
    private final Pass pass;
    private final LayerAddresses[] weights;
    private final Recompute level;

    Recomputation(Pass pass, LayerAddresses[] weights) {
        this.pass = pass;
        this.weights = weights;
        this.level = pass.activations.recompute;
    }

    /** Before the feed-forward's backward: its input and its inside; where layers keep nothing, the whole layer. */
    void feedForward(int layer) {
        if (layer == weights.length - 1) {
            return;
        }
        Activations.Layer a = pass.activations.layers[layer];
        if (!level.keepsInputs()) {
            SelfAttention.forward(pass, layer, weights[layer], pass.activations.input(layer));
            FeedForward.forward(pass, layer, weights[layer]);
        } else if (!level.keepsOutputs()) {
            normalise(a.attentionOut().address(), a.attentionSum().address(), weights[layer].attentionGamma(), weights[layer].attentionBeta());
            FeedForward.activate(pass, layer, weights[layer]);
        }
    }

    /** Before attention's backward: the layer's input, and what attention made of it. */
    void attention(int layer) {
        if (layer > pass.activations.lowest && !level.keepsLayerOutput()) {
            Activations.Layer below = pass.activations.layers[layer - 1];
            normalise(below.output().address(), below.outputSum().address(), weights[layer - 1].outputGamma(), weights[layer - 1].outputBeta());
        }
        if (layer < weights.length - 1 && level.keepsInputs() && !level.keepsAttention()) {
            SelfAttention.attend(pass, layer, weights[layer], pass.activations.input(layer));
        }
    }

    /** y = LayerNorm(z) of a sum that has its bias, dropout and residual already; [T, H]. */
    private void normalise(long y, long z, long gamma, long beta) {
        pass.backend.residualLayernormForward(pass.dtype(), y, 0, 0, 0, z, 0, 0, gamma, beta, pass.eps(), 0, 0, 0, 0,
                pass.encoderTokens(), pass.config.hiddenSize());
    }
}
