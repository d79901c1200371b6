package org.warpbert.bench;

import java.util.Arrays;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Dtype;
import org.warpbert.backend.Gemm;
import org.warpbert.model.BertConfig;
import org.warpbert.model.ParameterTable;
import org.warpbert.text.PackedBatch;

/** The ops of embeddings, encoder layers and heads, on a batch's own rows. T tokens, B sequences, H hidden, I intermediate size. */
final class LayerOps {
    private static final int SITE = 1;
    private static final int MASKED = 64; // rows that a masked language model judges
    private static final float MASKED_SHARE = 0.15f; // or this much of the batch

    private final Backend backend;
    private final Dtype dtype;
    private final BertConfig c;
    private final PackedBatch batch;
    private final Tensors tensors;
    private final int t;
    private final int h;
    private final int i;
    private final int layers;
    private final Activation activation;
    private final boolean activates; // whether products compute it, as the model's do
    private final int behind; // layers of so many rows behind their attention too: the last has those alone that its head reads
    private final int sequences;
    private final long th; // bytes of [T, H]
    private final long ti;
    private final float drop;
    private final long rng;
    private final long dropoutRows;
    // [T, max(I, 3 H)] each
    private final long a;
    private final long b;
    private final long x;
    private final long y;
    // [max(I, 3 H)] each
    private final long p;
    private final long q;
    private final long r;
    private final long gamma;
    private final long mean; // [T]
    private final long rstd;
    private final long workspace;

    LayerOps(Backend backend, Dtype dtype, BertConfig config, PackedBatch batch, Tensors tensors) {
        this.backend = backend;
        this.dtype = dtype;
        this.c = config;
        this.batch = batch;
        this.tensors = tensors;
        t = batch.totalTokens();
        h = c.hiddenSize();
        i = c.intermediateSize();
        activation = Gemm.activation(dtype, c.hiddenAct());
        activates = Gemm.activates(dtype, activation, i);
        layers = c.numHiddenLayers();
        behind = layers - 1;
        sequences = batch.sequences();
        th = (long) dtype.bytes() * t * h;
        ti = (long) dtype.bytes() * t * i;
        drop = (float) c.hiddenDropoutProb();
        long widest = Math.max(i, 3L * h);
        a = tensors.of(dtype, t * widest);
        b = tensors.of(dtype, t * widest);
        x = tensors.of(dtype, t * widest);
        y = tensors.of(dtype, t * widest);
        p = tensors.floats(widest);
        q = tensors.floats(widest);
        r = tensors.floats(widest);
        gamma = tensors.floats(widest);
        mean = tensors.floats(t);
        float[] ones = new float[t];
        Arrays.fill(ones, 1);
        rstd = tensors.floats(ones);
        workspace = tensors.floats((long) t * h + 3L * Backend.REDUCE_BLOCKS * widest + (long) c.numAttentionHeads() * t);
        rng = tensors.longs(1, 2);
        dropoutRows = tensors.ints(batch.dropoutRows());
    }

    /** All of them. */
    List<Op> all() {
        return Stream.of(products(), attention(), elementwise(), embeddings(), heads()).flatMap(List::stream).toList();
    }

    private List<Op> elementwise() {
        String rows = "[" + t + "," + h + "]";
        String wide = "[" + t + "," + i + "]";
        float eps = (float) c.layerNormEps();
        Activation act = c.hiddenAct();
        return List.of(
                new Op("bias_activation_forward " + act.configName(), wide, activates ? 0 : behind, 2 * ti, 0,
                        () -> backend.biasActivationForward(dtype, y, x, p, act, t, i)),
                new Op("bias_activation_backward " + act.configName(), wide, activates ? 0 : behind, 3 * ti, 0,
                        () -> backend.biasActivationBackward(dtype, y, q, workspace, a, x, p, act, t, i)),
                new Op("bias_activation_backward bias of up", wide, activates ? behind : 0, ti, 0, // in place: it reads and adds up
                        () -> backend.biasActivationBackward(dtype, y, q, workspace, y, 0, 0, Activation.IDENTITY, t, i)),
                new Op("residual_layernorm_forward", rows, 2 * behind, 4 * th, 0,
                        () -> backend.residualLayernormForward(dtype, y, b, mean, rstd, x, p, a, q, r, eps, drop, SITE, rng, dropoutRows, t, h)),
                new Op("residual_layernorm_backward", rows, 2 * behind, 4 * th, 0,
                        () -> backend.residualLayernormBackward(dtype, y, b, p, q, r, workspace, x, a, mean, rstd, gamma, drop, SITE, rng, dropoutRows, t, h)));
    }

    private List<Op> embeddings() {
        int v = c.vocabSize();
        int positions = c.maxPositionEmbeddings();
        int kinds = c.typeVocabSize();
        long word = tensors.floats((long) v * h);
        long position = tensors.floats((long) positions * h);
        long segment = tensors.floats((long) kinds * h);
        long dword = tensors.zeros(4L * v * h);
        long dposition = tensors.zeros(4L * positions * h);
        long dsegment = tensors.zeros(4L * kinds * h);
        long touched = tensors.zeros(v);
        long ids = tensors.ints(batch.tokens());
        long places = tensors.ints(batch.positions());
        long segments = tensors.ints(batch.segments());
        long wordOrder = tensors.ints(batch.wordOrder());
        long positionOrder = tensors.ints(batch.positionOrder());
        float eps = (float) c.layerNormEps();
        String rows = "[" + t + "," + h + "]";
        return List.of(
                new Op("embeddings_forward", rows, 1, 2 * th, 0,
                        () -> backend.embeddingsForward(dtype, y, mean, rstd, word, position, segment, p, q, ids, places, segments,
                                eps, drop, SITE, rng, dropoutRows, t, h, v, positions, kinds)),
                new Op("embeddings_backward", rows, 1, 4 * th, 0,
                        () -> backend.embeddingsBackward(dtype, dword, dposition, dsegment, p, q, touched, workspace, x, mean, rstd, word,
                                position, segment, gamma, ids, places, segments, wordOrder, positionOrder, drop, SITE, rng, dropoutRows,
                                t, h, v, positions, kinds)));
    }

    /** As the model trains, and without dropout, as others publish their times. */
    private List<Op> attention() {
        float probability = (float) c.attentionProbsDropoutProb();
        return Stream.of(attention("", behind, probability, batch.maxSeqlen()), attention(" of first tokens", 1, probability, 1),
                probability == 0 ? Stream.<Op>of() : attention(" without dropout", 0, 0, batch.maxSeqlen())).flatMap(ops -> ops).toList();
    }

    /**
     * Two products forward, five backward (one of them the forward's again): 4 n^2 H and 10 n^2 H flop a sequence of n tokens, all of
     * which ask; in the last layer of a classifier the first alone.
     */
    private Stream<Op> attention(String how, int perStep, float probability, int queries) {
        int heads = c.numAttentionHeads();
        int size = c.headSize();
        float scale = (float) (1 / Math.sqrt(size));
        long starts = tensors.ints(batch.cuSeqlens());
        long lse = tensors.floats((long) heads * t);
        long mask = batch.keyMask() == null ? 0 : tensors.bytes(batch.keyMask());
        double product = 0;
        for (int s = 0; s < sequences; s++) {
            product += 2.0 * Math.min(queries, batch.length(s)) * batch.length(s) * h;
        }
        String shape = sequences + " of up to " + batch.maxSeqlen();
        boolean all = queries >= batch.maxSeqlen(); // else keys and values are read, and in the backward dqkv is written, and little else
        // the backward needs the log-sum-exp of this very forward
        return Stream.of(new Op("attention_forward" + how, shape, perStep, (all ? 4 : 2) * th, 2 * product,
                        () -> backend.attentionForward(dtype, y, lse, x, starts, mask, scale, probability, SITE, rng, dropoutRows,
                                t, sequences, heads, size, batch.maxSeqlen(), queries)),
                new Op("attention_backward" + how, shape, perStep, (all ? 8 : 5) * th, 5 * product,
                        () -> backend.attentionBackward(dtype, a, q, workspace, b, y, lse, x, starts, mask, scale, probability, SITE, rng, dropoutRows,
                                t, sequences, heads, size, batch.maxSeqlen(), queries)));
    }

    private List<Op> products() {
        return Stream.of(product("qkv", layers, h, 3 * h, true), product("attention", behind, h, h, false), product("up", behind, h, i, false),
                product("down", behind, i, h, false), activatedProducts())
                .flatMap(List::stream).toList();
    }

    /** Those of up's forward and down's backward that compute the activation too, with what they keep or read for it; or, so named, what stands for them. */
    private List<Op> activatedProducts() {
        if (!activates) {
            return List.of();
        }
        long up = tensors.of(dtype, (long) h * i);
        long down = tensors.of(dtype, (long) h * i);
        long bias = tensors.of(dtype, i);
        long bytes = dtype.bytes() * ((long) t * h + (long) h * i) + 2 * ti;
        double flop = 2.0 * t * h * i;
        String forward = how(() -> backend.gemm().forwardActivated(dtype, y, a, x, up, bias, activation, t, h, i));
        String backward = how(() -> backend.gemm().backwardInputActivated(dtype, y, x, down, a, activation, t, i, h));
        return List.of(
                new Op("gemm_forward up and activation" + forward, "[" + t + "," + h + "] x [" + i + "," + h + "]", behind, bytes, flop, () -> {
                    if (!backend.gemm().forwardActivated(dtype, y, a, x, up, bias, activation, t, h, i)) {
                        backend.gemm().forwardBias(dtype, a, x, up, bias, t, h, i);
                        backend.biasActivationForward(dtype, y, a, 0, activation, t, i);
                    }
                }),
                new Op("gemm_backward_input down and activation" + backward, "[" + t + "," + i + "] x [" + h + "," + i + "]", behind, bytes, flop, () -> {
                    if (!backend.gemm().backwardInputActivated(dtype, y, x, down, a, activation, t, i, h)) {
                        backend.gemm().backwardInput(dtype, y, x, down, false, t, i, h);
                        backend.biasActivationBackward(dtype, y, 0, 0, y, a, 0, activation, t, i);
                    }
                }));
    }

    /** Without a backend ops are named, not run. */
    private String how(BooleanSupplier product) {
        return backend == null || product.getAsBoolean() ? "" : ", by a product and an op";
    }

    /** Each product alone; @param biased whether the forward adds a bias itself */
    private List<Op> product(String name, int perStep, int in, int out, boolean biased) {
        long weight = tensors.of(dtype, (long) in * out);
        long gradient = tensors.floats((long) in * out);
        long bias = biased ? tensors.of(dtype, out) : 0;
        String shape = "[" + t + "," + in + "] x [" + out + "," + in + "]";
        long bytes = dtype.bytes() * ((long) t * in + (long) in * out + (long) t * out);
        double flop = 2.0 * t * in * out;
        return List.of(
                new Op("gemm_forward " + name, shape, activates && name.equals("up") ? 0 : perStep, bytes, flop, biased
                        ? () -> backend.gemm().forwardBias(dtype, y, x, weight, bias, t, in, out)
                        : () -> backend.gemm().forward(dtype, y, x, weight, t, in, out)),
                new Op("gemm_backward_input " + name, shape, activates && name.equals("down") ? 0 : perStep, bytes, flop, () -> backend.gemm().backwardInput(dtype, y, x, weight, false, t, in, out)),
                new Op("gemm_backward_weight " + name, shape, perStep, bytes, flop, () -> backend.gemm().backwardWeight(dtype, gradient, y, x, false, t, in, out)));
    }

    private List<Op> heads() {
        int v = c.vocabSize();
        int wide = ParameterTable.decodedWords(v);
        long firsts = tensors.ints(Arrays.copyOf(batch.cuSeqlens(), sequences));
        int share = Math.max(1, Math.round(MASKED_SHARE * t));
        int judged = Math.max(MASKED, share);
        int most = Math.max(sequences, judged);
        long labels = tensors.ints(new int[most]);
        long losses = tensors.floats(most);
        long logits = tensors.of(dtype, (long) judged * wide);
        long gradient = tensors.of(dtype, (long) judged * wide);
        long target = tensors.zeros(4L * sequences * BenchModel.CLASSES);
        long answers = tensors.floats(2L * sequences);
        long spans = tensors.of(dtype, 2L * t);
        long starts = tensors.ints(batch.cuSeqlens());
        long ends = tensors.ints(new int[2 * sequences]);
        String rows = "[" + sequences + "," + h + "]";
        long bh = (long) dtype.bytes() * sequences * h;
        return List.of(
                new Op("gather_rows_forward", rows, 2, 2 * bh, 0, () -> backend.gatherRowsForward(dtype, y, x, firsts, sequences, t, h)),
                new Op("gather_rows_backward", rows + " of " + t, 2, bh + th, 0, () -> backend.gatherRowsBackward(dtype, y, x, firsts, sequences, t, h)),
                new Op("dropout_forward", rows, 1, 2 * bh, 0, () -> backend.dropoutForward(dtype, y, x, 0.1f, SITE, rng, dropoutRows, sequences, h)),
                new Op("dropout_backward", rows, 1, 2 * bh, 0, () -> backend.dropoutBackward(dtype, y, x, 0.1f, SITE, rng, dropoutRows, sequences, h)),
                new Op("cross_entropy classes", "[" + sequences + "," + BenchModel.CLASSES + "]", 1, 2L * dtype.bytes() * sequences * BenchModel.CLASSES, 0,
                        () -> backend.crossEntropy(dtype, losses, gradient, logits, labels, 0, 0, PackedBatch.IGNORE, 1, sequences, BenchModel.CLASSES, BenchModel.CLASSES)),
                new Op("cross_entropy words", "[" + MASKED + "," + v + "]", 0, 2L * dtype.bytes() * MASKED * v, 0,
                        () -> backend.crossEntropy(dtype, losses, gradient, logits, labels, 0, 0, PackedBatch.IGNORE, 1, MASKED, v, wide)),
                new Op("cross_entropy words of 15%", "[" + share + "," + v + "]", 0, 2L * dtype.bytes() * share * v, 0,
                        () -> backend.crossEntropy(dtype, losses, gradient, logits, labels, 0, 0, PackedBatch.IGNORE, 1, share, v, wide)),
                new Op("mean_squared_error", "[" + sequences + ",1]", 0, 12L * sequences, 0,
                        () -> backend.meanSquaredError(dtype, losses, gradient, logits, target, 1, sequences, 1)),
                new Op("binary_cross_entropy", "[" + sequences + "," + BenchModel.CLASSES + "]", 0, 12L * sequences * BenchModel.CLASSES, 0,
                        () -> backend.binaryCrossEntropy(dtype, answers, gradient, logits, target, 0, 1, sequences, BenchModel.CLASSES)),
                new Op("segment_cross_entropy", "[" + t + ",2]", 0, 16L * t, 0,
                        () -> backend.segmentCrossEntropy(dtype, answers, spans, y, starts, ends, PackedBatch.IGNORE, 1, t, sequences, 2)));
    }
}
