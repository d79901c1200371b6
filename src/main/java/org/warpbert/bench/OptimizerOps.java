package org.warpbert.bench;

import java.util.Arrays;
import java.util.List;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Dtype;
import org.warpbert.model.BertConfig;
import org.warpbert.model.ParameterTable;
import org.warpbert.text.PackedBatch;

/** What runs over all n parameters at once, as in the first step: of the V word embeddings those of the batch's words are touched. */
final class OptimizerOps {
    private OptimizerOps() {}

    static List<Op> of(Backend backend, Dtype dtype, BertConfig config, ParameterTable table, PackedBatch batch, Tensors tensors) {
        long n = table.size();
        int v = config.vocabSize();
        int h = config.hiddenSize();
        int[] words = Arrays.stream(batch.tokens()).distinct().toArray();
        byte[] met = new byte[v];
        for (int word : words) {
            met[word] = 1;
        }
        long touched = tensors.bytes(met);
        long idle = (long) (v - words.length) * h; // elements without a gradient yet: AdamW reads and writes the weights, which decay
        long cleared = (table.matricesFrom() - (long) v * h) * Float.BYTES; // behind the words
        long parameter = tensors.floats(n);
        long gradient = tensors.floats(n);
        long firstMoment = tensors.zeros(4 * n);
        long secondMoment = tensors.zeros(4 * n);
        long stats = tensors.floats(1, 1, 1);
        long hyper = tensors.floats(1e-5f, 0.1f, 0.001f);
        long ends = tensors.longs(n);
        long decay = tensors.floats(0.01f);
        long scale = tensors.floats(1);
        long workspace = tensors.zeros(8L * Backend.REDUCE_BLOCKS);
        long copy = dtype == Dtype.F32 ? 0 : tensors.of(dtype, n); // of the master weights, for products
        int copied = dtype == Dtype.F32 ? 0 : dtype.bytes();
        String rows = words.length + " of " + v + " words";
        String all = "[" + n + "], " + rows;
        return List.of(
                new Op("gradient_norm", all, 1, 4 * (n - idle) + v, 0, () -> backend.gradientNorm(stats, workspace, gradient, touched, 0, 1, n, v, h)),
                new Op("adamw", all, 1, (28 + copied) * (n - idle) + (8 + copied) * idle + v, 0,
                        () -> backend.adamw(dtype, Dtype.F32, parameter, firstMoment, secondMoment, copy, gradient, touched, stats, hyper, 0, ends, decay,
                                scale, 0.9f, 0.999f, 1e-8f, n, 1, v, h)),
                new Op("cast bf16", "[" + n + "]", 0, 6 * n, 0, () -> backend.cast(firstMoment, Dtype.BF16, gradient, Dtype.F32, n)),
                new Op("zero_rows", "[" + v + "," + h + "], " + rows, 1, 4L * words.length * h + v, 0, () -> backend.zeroRows(gradient, touched, v, h)),
                new Op("zero", "[" + cleared / Float.BYTES + "]", 1, cleared, 0, () -> backend.zero(gradient, cleared)));
    }
}
