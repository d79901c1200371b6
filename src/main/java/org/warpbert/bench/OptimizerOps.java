package org.warpbert.bench;

import java.util.List;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Dtype;
import org.warpbert.model.ParameterTable;

/** What runs over all n parameters at once. */
final class OptimizerOps {
    private OptimizerOps() {}

    static List<Op> of(Backend backend, Dtype dtype, ParameterTable table, Tensors tensors) {
        long n = table.size();
        long cleared = table.end(ParameterTable.Region.VECTORS) * Float.BYTES;
        long parameter = tensors.floats(n);
        long gradient = tensors.floats(n);
        long m = tensors.zeros(4 * n);
        long v = tensors.zeros(4 * n);
        long stats = tensors.floats(1, 1, 1);
        long hyper = tensors.floats(1e-5f, 0.1f, 0.001f);
        long ends = tensors.longs(n);
        long decay = tensors.floats(0.01f);
        long scale = tensors.floats(1);
        long workspace = tensors.zeros(8L * Backend.REDUCE_BLOCKS);
        long copy = dtype == Dtype.F32 ? 0 : tensors.of(dtype, n); // of the master weights, for products
        String all = "[" + n + "]";
        return List.of(
                new Op("gradient_norm", all, 1, 4 * n, 0, () -> backend.gradientNorm(stats, workspace, gradient, 0, 1, n)),
                new Op("adamw", all, 1, (28 + (copy == 0 ? 0 : dtype.bytes())) * n, 0, () -> backend.adamw(dtype, Dtype.F32, parameter, m, v, copy, gradient, stats, hyper, 0, ends,
                        decay, scale, 0.9f, 0.999f, 1e-8f, n, 1)),
                new Op("cast bf16", all, 0, 6 * n, 0, () -> backend.cast(m, Dtype.BF16, gradient, Dtype.F32, n)),
                new Op("zero", "[" + cleared / Float.BYTES + "]", 1, cleared, 0, () -> backend.zero(gradient, cleared)));
    }
}
