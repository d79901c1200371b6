package org.warpbert.model;

import org.warpbert.backend.Backend;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.Arena;

/**
 * The table of every activation of a pass over at most T tokens in B sequences: with {@code training}, what the forward
 * saves for the backward layer by layer, and the backward's scratch; without, two layers' worth of buffers that all
 * layers share. H hidden, I intermediate size, A heads.
 */
final class Activations {
    /**
     * One encoder layer. Without training, {@code attentionSum}, {@code up} and {@code outputSum} are shared by all
     * layers, statistics are null, and {@code activated} is {@code up}.
     *
     * @param qkv           [T, 3H]
     * @param context       [T, H], attention's output
     * @param lse           [A, T]
     * @param attentionSum  [T, H], what the first LayerNorm normalises
     * @param attentionMean [T]
     * @param attentionRstd [T]
     * @param attentionOut  [T, H]
     * @param up            [T, I], before bias and activation
     * @param activated     [T, I]
     * @param outputSum     [T, H], what the second LayerNorm normalises
     * @param outputMean    [T]
     * @param outputRstd    [T]
     * @param output        [T, H]
     */
    record Layer(Arena.Tensor qkv, Arena.Tensor context, Arena.Tensor lse, Arena.Tensor attentionSum,
                 Arena.Tensor attentionMean, Arena.Tensor attentionRstd, Arena.Tensor attentionOut, Arena.Tensor up,
                 Arena.Tensor activated, Arena.Tensor outputSum, Arena.Tensor outputMean, Arena.Tensor outputRstd,
                 Arena.Tensor output) {}

    /**
     * What the backward needs besides.
     *
     * @param gradient  [T, H], of the layer's output, then of its input
     * @param branch    [T, H], through a sublayer
     * @param residual  [T, H], around the feed-forward sublayer
     * @param wide      [T, max(I, 3H)], of the feed-forward's inside, then of qkv
     * @param workspace floats for reductions and attention
     */
    record Backward(Arena.Tensor gradient, Arena.Tensor branch, Arena.Tensor residual, Arena.Tensor wide,
                    Arena.Tensor workspace) {}

    final boolean training;
    final Dtype dtype;
    final Arena.Tensor embeddings; // [T, H]
    final Arena.Tensor embeddingsMean; // [T]
    final Arena.Tensor embeddingsRstd; // [T]
    final Layer[] layers;
    final Backward backward;

    Activations(Arena arena, BertConfig config, PassPlan plan) {
        training = plan.training();
        dtype = plan.dtype();
        long t = plan.capacity().tokens();
        long h = config.hiddenSize();
        long i = config.intermediateSize();
        long a = config.numAttentionHeads();
        embeddings = arena.add("embeddings", dtype, t, h);
        embeddingsMean = arena.add("embeddings.mean", Dtype.F32, t);
        embeddingsRstd = arena.add("embeddings.rstd", Dtype.F32, t);
        layers = new Layer[config.numHiddenLayers()];
        if (training) {
            for (int l = 0; l < layers.length; l++) {
                String n = "layer." + l + ".";
                layers[l] = new Layer(
                        arena.add(n + "qkv", dtype, t, 3 * h), arena.add(n + "context", dtype, t, h),
                        arena.add(n + "lse", Dtype.F32, a, t),
                        arena.add(n + "attention.sum", dtype, t, h), arena.add(n + "attention.mean", Dtype.F32, t),
                        arena.add(n + "attention.rstd", Dtype.F32, t), arena.add(n + "attention.out", dtype, t, h),
                        arena.add(n + "up", dtype, t, i), arena.add(n + "activated", dtype, t, i),
                        arena.add(n + "output.sum", dtype, t, h), arena.add(n + "output.mean", Dtype.F32, t),
                        arena.add(n + "output.rstd", Dtype.F32, t), arena.add(n + "output", dtype, t, h));
            }
            long reduction = Backend.REDUCE_BLOCKS * Math.max(3 * h, i);
            long workspace = Math.max(Math.max(reduction, a * t + t * h), t * h + 2 * Backend.REDUCE_BLOCKS * h);
            backward = new Backward(
                    arena.add("backward.gradient", dtype, t, h), arena.add("backward.branch", dtype, t, h),
                    arena.add("backward.residual", dtype, t, h),
                    arena.add("backward.wide", dtype, t, Math.max(i, 3 * h)),
                    arena.add("backward.workspace", Dtype.F32, workspace));
        } else {
            Arena.Tensor qkv = arena.add("qkv", dtype, t, 3 * h);
            Arena.Tensor context = arena.add("context", dtype, t, h);
            Arena.Tensor sum = arena.add("sum", dtype, t, h);
            Arena.Tensor attentionOut = arena.add("attention.out", dtype, t, h);
            Arena.Tensor up = arena.add("up", dtype, t, i);
            // a layer reads its input as late as its first LayerNorm and writes its output after that: one buffer will do
            java.util.Arrays.fill(layers,
                    new Layer(qkv, context, null, sum, null, null, attentionOut, up, up, sum, null, null, embeddings));
            backward = null;
        }
    }

    /** [T, H], the encoder's output. */
    Arena.Tensor lastHiddenState() {
        return layers[layers.length - 1].output;
    }

    /** Address of a tensor that only training has, or 0. */
    static long orNull(Arena.Tensor tensor) {
        return tensor == null ? 0 : tensor.address();
    }
}
