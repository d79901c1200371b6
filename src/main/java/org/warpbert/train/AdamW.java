package org.warpbert.train;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.function.ToDoubleFunction;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.Arena;
import org.warpbert.memory.MemoryPlan;
import org.warpbert.model.Gradients;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.ParameterTable.Slice;
import org.warpbert.model.Parameters;

/**
 * AdamW (Loshchilov and Hutter 2019) over the flat buffers, with the gradient's norm clipped: two kernels a step, the
 * clip coefficient staying on the device between them. A step whose gradient is not finite changes nothing, and counts
 * for nothing in the moments' bias correction (as with PyTorch's GradScaler).
 */
final class AdamW implements AutoCloseable {
    private final Backend backend;
    private final Parameters parameters;
    private final Gradients gradients;
    private final float clip;
    private final State state;
    private final int segments;
    private final ByteBuffer hyperStaging = direct(4 * Float.BYTES);
    private long taken; // steps that changed the weights

    /** The table of all that is kept on the device. */
    private static final class State {
        final Arena arena = new Arena("the optimizer's state");
        final Arena.Tensor m; // [n]
        final Arena.Tensor v; // [n]
        final Arena.Tensor stats = arena.add("stats", Dtype.F32, 3); // see wb_gradient_norm
        final Arena.Tensor workspace = arena.add("workspace", Dtype.F32, 2 * Backend.REDUCE_BLOCKS);
        final Arena.Tensor hyper = arena.add("hyper", Dtype.F32, 4); // see wb_adamw; then the loss scale
        final Arena.Tensor ends; // int64 [K], as pairs of floats; K segments, at most one a parameter
        final Arena.Tensor decay; // [K]
        final Arena.Tensor lrScale; // [K]

        State(ParameterTable table) {
            int most = table.slices().size();
            ends = arena.add("ends", Dtype.F32, 2L * most);
            decay = arena.add("decay", Dtype.F32, most);
            lrScale = arena.add("lr_scale", Dtype.F32, most);
            m = arena.add("m", Dtype.F32, table.size());
            v = arena.add("v", Dtype.F32, table.size());
        }
    }

    /** @param scale factor of a parameter's learning rate; 0: it is frozen */
    AdamW(Backend backend, Parameters parameters, Gradients gradients, double weightDecay, double clip, ToDoubleFunction<Slice> scale) {
        this.backend = backend;
        this.parameters = parameters;
        this.gradients = gradients;
        this.clip = (float) clip;
        ParameterTable table = parameters.table();
        state = new State(table);
        state.arena.allocate(backend);
        backend.zero(state.m.address(), state.m.bytes());
        backend.zero(state.v.address(), state.v.bytes());
        List<Segment> list = segments(table, weightDecay, scale);
        segments = list.size();
        ByteBuffer endValues = direct(segments * Long.BYTES);
        ByteBuffer decayValues = direct(segments * Float.BYTES);
        ByteBuffer scaleValues = direct(segments * Float.BYTES);
        for (Segment segment : list) {
            endValues.putLong(segment.end);
            decayValues.putFloat(segment.decay);
            scaleValues.putFloat(segment.scale);
        }
        state.arena.upload(state.ends, endValues.flip());
        state.arena.upload(state.decay, decayValues.flip());
        state.arena.upload(state.lrScale, scaleValues.flip());
    }

    /** What the optimizer of this table holds. */
    static MemoryPlan memory(ParameterTable table) {
        return new MemoryPlan().add(new State(table).arena, name -> name.equals("m") || name.equals("v") ? "moments" : "optimizer");
    }

    /** Neighbours in the buffers with the same weight decay and learning rate, see wb_adamw. */
    private record Segment(long end, float decay, float scale) {
        boolean isLike(Segment other) {
            return decay == other.decay && scale == other.scale;
        }
    }

    /** The gap in front of a parameter belongs to its segment; what gaps hold is 0, and of 0 an update makes 0. */
    private static List<Segment> segments(ParameterTable table, double weightDecay, ToDoubleFunction<Slice> scale) {
        Deque<Segment> segments = new ArrayDeque<>();
        for (Slice slice : table.slices()) {
            Segment segment = new Segment(slice.offset() + slice.count(), slice.region().decays() ? (float) weightDecay : 0, (float) scale.applyAsDouble(slice));
            if (!segments.isEmpty() && segments.getLast().isLike(segment)) {
                segments.removeLast();
            }
            segments.addLast(segment);
        }
        Segment last = segments.removeLast();
        segments.addLast(new Segment(table.size(), last.decay, last.scale)); // with the gap at the end
        return List.copyOf(segments);
    }

    /** One update from the gradients as they stand, those of the loss times {@code lossScale}. */
    void step(double lr, float lossScale) {
        long step = taken + 1;
        // of the betas that the kernel has: 1 - 0.999f is 1.3e-5 off 1 - 0.999, and v / c2 would be
        double c1 = 1 - Math.pow((float) Hyperparameters.BETA1, step);
        double c2 = 1 - Math.pow((float) Hyperparameters.BETA2, step);
        hyperStaging.clear();
        hyperStaging.putFloat((float) lr).putFloat((float) c1).putFloat((float) c2).putFloat(lossScale).flip();
        state.arena.upload(state.hyper, hyperStaging); // CUDA takes so few bytes along with the command and waits for nothing
        long n = parameters.table().size();
        backend.gradientNorm(state.stats.address(), state.workspace.address(), gradients.address() + gradients.from() * Float.BYTES,
                state.hyper.address() + 3 * Float.BYTES, clip, n - gradients.from());
        backend.adamw(parameters.dtype(), parameters.address(), state.m.address(), state.v.address(), parameters.roundedAddress(),
                gradients.address(), state.stats.address(), state.hyper.address(), state.ends.address(), state.decay.address(), state.lrScale.address(),
                (float) Hyperparameters.BETA1, (float) Hyperparameters.BETA2, (float) Hyperparameters.EPSILON, n,
                segments);
    }

    /** [3], what became of the last {@link #step}: see wb_gradient_norm. */
    Arena.Tensor stats() {
        return state.stats;
    }

    /** Hears that a step's gradient was finite, so that it changed the weights; before the next {@link #step}. */
    void stepped() {
        taken++;
    }

    private static ByteBuffer direct(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
    }

    @Override
    public void close() {
        state.arena.close();
    }
}
