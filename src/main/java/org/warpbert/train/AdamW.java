package org.warpbert.train;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.Arena;
import org.warpbert.model.Gradients;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.ParameterTable.Region;
import org.warpbert.model.Parameters;

/**
 * AdamW (Loshchilov and Hutter 2019) over the flat buffers, with the gradient's norm clipped: two kernels a step, the
 * clip coefficient staying on the device between them. A step whose gradient is not finite changes nothing.
 */
final class AdamW implements AutoCloseable {
    private static final int REDUCE_BLOCKS = 256; // WB_REDUCE_BLOCKS of warpbert.h
    private static final Region[] REGIONS = Region.values();

    private final Backend backend;
    private final Parameters parameters;
    private final Gradients gradients;
    private final float clip;
    private final Arena arena;
    private final Arena.Tensor m; // [n]
    private final Arena.Tensor v; // [n]
    private final Arena.Tensor stats; // [3], see wb_gradient_norm
    private final Arena.Tensor workspace;
    private final Arena.Tensor hyper; // [3], see wb_adamw
    private final Arena.Tensor ends; // int64 [regions], as pairs of floats
    private final Arena.Tensor decay; // [regions]
    private final Arena.Tensor lrScale; // [regions]
    private final ByteBuffer hyperStaging = direct(3 * Float.BYTES);
    private final ByteBuffer statsStaging = direct(3 * Float.BYTES);
    private long step;

    AdamW(Backend backend, Parameters parameters, Gradients gradients, double weightDecay, double clip) {
        this.backend = backend;
        this.parameters = parameters;
        this.gradients = gradients;
        this.clip = (float) clip;
        ParameterTable table = parameters.table();
        arena = new Arena("the optimizer's state");
        m = arena.add("m", Dtype.F32, table.size());
        v = arena.add("v", Dtype.F32, table.size());
        stats = arena.add("stats", Dtype.F32, 3);
        workspace = arena.add("workspace", Dtype.F32, 2 * REDUCE_BLOCKS);
        hyper = arena.add("hyper", Dtype.F32, 3);
        ends = arena.add("ends", Dtype.F32, 2L * REGIONS.length);
        decay = arena.add("decay", Dtype.F32, REGIONS.length);
        lrScale = arena.add("lr_scale", Dtype.F32, REGIONS.length);
        arena.allocate(backend);
        backend.zero(m.address(), m.bytes());
        backend.zero(v.address(), v.bytes());
        ByteBuffer endValues = direct(REGIONS.length * Long.BYTES);
        ByteBuffer decayValues = direct(REGIONS.length * Float.BYTES);
        ByteBuffer scaleValues = direct(REGIONS.length * Float.BYTES);
        for (Region region : REGIONS) {
            endValues.putLong(table.end(region));
            decayValues.putFloat(region.decays() ? (float) weightDecay : 0);
            scaleValues.putFloat(1);
        }
        arena.upload(ends, endValues.flip());
        arena.upload(decay, decayValues.flip());
        arena.upload(lrScale, scaleValues.flip());
    }

    /** Bytes that the optimizer of this table takes. */
    static long plannedBytes(ParameterTable table) {
        return 2 * table.size() * Float.BYTES;
    }

    /** One update from the gradients as they stand. */
    void step(double lr) {
        step++;
        // of the betas that the kernel has: 1 - 0.999f is 1.3e-5 off 1 - 0.999, and v / c2 would be
        double c1 = 1 - Math.pow((float) Hyperparameters.BETA1, step);
        double c2 = 1 - Math.pow((float) Hyperparameters.BETA2, step);
        hyperStaging.clear();
        hyperStaging.putFloat((float) lr).putFloat((float) c1).putFloat((float) c2).flip();
        arena.upload(hyper, hyperStaging);
        long n = parameters.table().size();
        backend.gradientNorm(stats.address(), workspace.address(), gradients.address(), 0, clip, n);
        backend.adamw(Dtype.F32, parameters.address(), m.address(), v.address(), 0, gradients.address(),
                stats.address(), hyper.address(), ends.address(), decay.address(), lrScale.address(),
                (float) Hyperparameters.BETA1, (float) Hyperparameters.BETA2, (float) Hyperparameters.EPSILON, n,
                REGIONS.length);
    }

    /** The gradient's l2 norm of the last step, before clipping; NaN where it was not finite and the step was skipped. */
    double gradientNorm() {
        statsStaging.clear();
        arena.download(stats, statsStaging);
        return statsStaging.getFloat(2 * Float.BYTES) == 1 ? statsStaging.getFloat(0) : Double.NaN;
    }

    private static ByteBuffer direct(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
    }

    @Override
    public void close() {
        arena.close();
    }
}
