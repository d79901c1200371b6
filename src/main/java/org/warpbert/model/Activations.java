package org.warpbert.model;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.Arena;
import org.warpbert.memory.Recompute;

/**
 * The table of every activation of a pass over at most T tokens, filler counted: with {@code training}, what the forward
 * saves for the backward layer by layer, buffers that layers share for what it does not save, and the backward's scratch;
 * without, two layers' worth of buffers that all layers share. Where a head does not read all rows of the output, the last layer
 * has R of them behind its attention, filler counted; else R is T. Layers below the lowest that is trained save nothing: they work
 * in that one's buffers, before it. H hidden, I intermediate size, A heads.
 */
final class Activations {
    /**
     * One encoder layer. What the level of recomputation does not keep is shared by all layers. Without training everything
     * is, statistics are null, {@code outputSum} is {@code attentionSum}, and {@code activated} is {@code up}.
     *
     * @param qkv           [T, 3H]
     * @param context       [T, H], attention's output
     * @param lse           [A, T]
     * @param attentionSum  [R, H], what the first LayerNorm normalises
     * @param attentionMean [R]
     * @param attentionRstd [R]
     * @param attentionOut  [R, H]
     * @param up            [R, I], before bias and activation; in 16 bits with the bias
     * @param activated     [R, I]
     * @param outputSum     [R, H], what the second LayerNorm normalises
     * @param outputMean    [R]
     * @param outputRstd    [R]
     * @param output        [R, H]
     */
    record Layer(Arena.Tensor qkv, Arena.Tensor context, Arena.Tensor lse, Arena.Tensor attentionSum,
                 Arena.Tensor attentionMean, Arena.Tensor attentionRstd, Arena.Tensor attentionOut, Arena.Tensor up,
                 Arena.Tensor activated, Arena.Tensor outputSum, Arena.Tensor outputMean, Arena.Tensor outputRstd,
                 Arena.Tensor output) {
        /** The same buffers for a layer with another's input in place of its output: it reads that before it writes this. */
        Layer into(Arena.Tensor inputAndOutput) {
            return new Layer(qkv, context, lse, attentionSum, attentionMean, attentionRstd, attentionOut, up, activated, outputSum, outputMean,
                    outputRstd, inputAndOutput);
        }
    }

    /**
     * What the last layer goes on with behind its attention, where its head does not read all rows.
     *
     * @param context [R, H], rows of {@link Layer#context}
     * @param input   [R, H], rows of the layer's input; in the backward scratch
     */
    record Selected(Arena.Tensor context, Arena.Tensor input) {}

    /**
     * What the backward needs besides.
     *
     * Where no layer is trained, the gradient that the head leaves, and the workspace.
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
    final Recompute recompute;
    final int lowest; // layer that is trained; their number: none is
    final Dtype dtype;
    final Arena.Tensor embeddings; // [T, H]
    final Arena.Tensor embeddingsMean; // [T]
    final Arena.Tensor embeddingsRstd; // [T]
    final Layer[] layers;
    final Selected selected; // null: the head reads all rows
    final Backward backward;

    Activations(Arena arena, BertConfig config, PassPlan plan, OutputRows rows) {
        training = plan.training();
        recompute = plan.recompute();
        lowest = Math.max(0, plan.frozenLevels() - 1);
        dtype = plan.dtype();
        long r = plan.selectedRows(rows);
        long t = Math.max(plan.encoderTokens(), r); // filler of the selected rows may be more than that of the tokens
        long h = config.hiddenSize();
        long i = config.intermediateSize();
        long a = config.numAttentionHeads();
        embeddings = arena.add("embeddings", dtype, t, h);
        embeddingsMean = arena.add("embeddings.mean", Dtype.F32, t);
        embeddingsRstd = arena.add("embeddings.rstd", Dtype.F32, t);
        layers = new Layer[config.numHiddenLayers()];
        selected = rows == OutputRows.ALL ? null : new Selected(arena.add("selected.context", dtype, r, h), arena.add("selected.input", dtype, r, h));
        if (training) {
            Map<String, Arena.Tensor> shared = new HashMap<>();
            for (int l = lowest; l < layers.length; l++) {
                boolean forOthers = l == lowest && lowest > 0; // layers that save nothing work here too, and have all rows
                long n = selected == null || l < layers.length - 1 || forOthers ? t : r;
                Keeper keeper = new Keeper(arena, "layer." + l + ".", plan.whole() ? Gradients.lent(config, l - lowest) : -1, shared);
                layers[l] = new Layer(
                        keeper.add(recompute.keepsAttention(), "qkv", dtype, t, 3 * h),
                        keeper.add(recompute.keepsAttention(), "context", dtype, t, h),
                        keeper.add(recompute.keepsAttention(), "lse", Dtype.F32, a, t),
                        keeper.add(recompute.keepsInputs(), "attention.sum", dtype, n, h),
                        keeper.add(recompute.keepsInputs(), "attention.mean", Dtype.F32, n),
                        keeper.add(recompute.keepsInputs(), "attention.rstd", Dtype.F32, n),
                        keeper.add(recompute.keepsOutputs(), "attention.out", dtype, n, h),
                        keeper.add(recompute.keepsInputs(), "up", dtype, n, i),
                        keeper.add(recompute.keepsOutputs(), "activated", dtype, n, i),
                        keeper.add(recompute.keepsInputs(), "output.sum", dtype, n, h),
                        keeper.add(recompute.keepsInputs(), "output.mean", Dtype.F32, n),
                        keeper.add(recompute.keepsInputs(), "output.rstd", Dtype.F32, n),
                        keeper.add(recompute.keepsLayerOutput(), "output", dtype, n, h));
            }
            Layer free = lowest < layers.length ? layers[lowest] : once(arena, config, t);
            Arrays.fill(layers, 0, lowest, free.into(embeddings));
            boolean any = lowest < layers.length;
            long reduction = Backend.REDUCE_BLOCKS * Math.max(3 * h, i);
            long attention = a * t + Backend.REDUCE_BLOCKS * 3 * h;
            long workspace = Math.max(Math.max(reduction, attention), t * h + 2 * Backend.REDUCE_BLOCKS * h);
            backward = new Backward(
                    arena.add("backward.gradient", dtype, t, h),
                    any ? arena.add("backward.branch", dtype, t, h) : null,
                    any ? arena.add("backward.residual", dtype, t, h) : null,
                    any ? arena.add("backward.wide", dtype, t, Math.max(i, 3 * h)) : null,
                    arena.add("backward.workspace", Dtype.F32, any ? workspace : reduction));
        } else {
            Arrays.fill(layers, once(arena, config, t));
            backward = null;
        }
    }

    /** Buffers that all layers can use in turn, where none saves anything; with statistics, which training's ops write. */
    private Layer once(Arena arena, BertConfig config, long t) {
        long h = config.hiddenSize();
        Arena.Tensor lse = training ? arena.add("lse", Dtype.F32, config.numAttentionHeads(), t) : null;
        Arena.Tensor mean = training ? arena.add("mean", Dtype.F32, t) : null;
        Arena.Tensor rstd = training ? arena.add("rstd", Dtype.F32, t) : null;
        Arena.Tensor qkv = arena.add("qkv", dtype, t, 3 * h);
        Arena.Tensor context = arena.add("context", dtype, t, h);
        Arena.Tensor sum = arena.add("sum", dtype, t, h);
        Arena.Tensor attentionOut = arena.add("attention.out", dtype, t, h);
        Arena.Tensor up = arena.add("up", dtype, t, config.intermediateSize());
        return new Layer(qkv, context, lse, sum, mean, rstd, attentionOut, up, up, sum, mean, rstd, embeddings);
    }

    /**
     * Adds a layer's tensors to the arena: its own, where possible in what the gradients of layers below lend, or those that all
     * layers share.
     */
    private record Keeper(Arena arena, String layer, long lent, Map<String, Arena.Tensor> shared) {
        Arena.Tensor add(boolean keep, String name, Dtype dtype, long... shape) {
            return keep ? arena.addLent(lent, layer + name, dtype, shape)
                    : shared.computeIfAbsent(name, n -> arena.add("recomputed." + n, dtype, shape));
        }
    }

    /** Address of a layer's input, [T, H]: the embeddings' output or that of the layer below. */
    long input(int layer) {
        return (layer == 0 ? embeddings : layers[layer - 1].output).address();
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
