package org.warpbert.train;

import java.io.DataInput;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.ToDoubleFunction;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Dtype;
import org.warpbert.backend.HostMemory;
import org.warpbert.memory.Arena;
import org.warpbert.memory.MemoryPlan;
import org.warpbert.model.Gradients;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.ParameterTable.Slice;
import org.warpbert.model.Parameters;
import org.warpbert.model.TouchedRows;
import org.warpbert.model.TrainedPart;

/**
 * AdamW (Loshchilov and Hutter 2019) over the flat buffers, with the gradient's norm clipped: two kernels a step, the
 * clip coefficient staying on the device between them. A step whose gradient is not finite changes nothing, and counts
 * for nothing in the moments' bias correction (as with PyTorch's GradScaler).
 */
final class AdamW implements AutoCloseable {
    private static final int HYPER_BYTES = 4 * Float.BYTES;
    private static final int RNG_BYTES = 3 * Long.BYTES;

    private final Backend backend;
    private final Parameters parameters;
    private final Gradients gradients;
    private final Dtype moments;
    private final long seed;
    private final float clip;
    private final State state;
    private final Piece[] pieces;
    private final HostMemory staging; // the segments' table, then each step's numbers
    private long taken; // steps that changed the weights

    /** The table of all that is kept on the device. */
    private static final class State {
        final Arena arena = new Arena("the optimizer's state");
        final Arena.Tensor m; // [n], float32 or bfloat16
        final Arena.Tensor v; // [n], the same
        final Arena.Tensor stats = arena.add("stats", Dtype.F32, 3); // see wb_gradient_norm
        final Arena.Tensor workspace = arena.add("workspace", Dtype.F32, 2 * Backend.REDUCE_BLOCKS);
        final Arena.Tensor hyper; // see wb_adamw; then the loss scale; then each run's rng, as pairs of floats
        final Arena.Tensor ends; // int64 [K], as pairs of floats; K segments, at most one a parameter
        final Arena.Tensor decay; // [K]
        final Arena.Tensor lrScale; // [K]

        State(TrainedPart part, Dtype moments) {
            int most = part.table().slices().size();
            hyper = arena.add("hyper", Dtype.F32, stepBytes(part) / Float.BYTES);
            ends = arena.add("ends", Dtype.F32, 2L * most);
            decay = arena.add("decay", Dtype.F32, most);
            lrScale = arena.add("lr_scale", Dtype.F32, most);
            m = arena.add("m", moments, part.size());
            v = arena.add("v", moments, part.size());
        }
    }

    /**
     * @param moments what they are kept in: float32 or bfloat16
     * @param scale   factor of a parameter's learning rate
     */
    AdamW(Backend backend, Parameters parameters, Gradients gradients, Dtype moments, Hyperparameters hyper, ToDoubleFunction<Slice> scale) {
        this.backend = backend;
        this.parameters = parameters;
        this.gradients = gradients;
        this.moments = moments;
        this.seed = hyper.seed();
        this.clip = (float) hyper.clip();
        TrainedPart part = gradients.part();
        state = new State(part, moments);
        state.arena.allocate(backend);
        try {
            staging = backend.allocateHost("the optimizer", hostBytes(part));
        } catch (RuntimeException e) {
            state.arena.close();
            throw e;
        }
        backend.zero(state.m.address(), state.m.bytes());
        backend.zero(state.v.address(), state.v.bytes());
        List<Segment> list = new ArrayList<>();
        List<TrainedPart.Run> runs = part.runs();
        pieces = new Piece[runs.size()];
        for (int i = 0; i < pieces.length; i++) {
            TrainedPart.Run run = runs.get(i);
            List<Segment> segments = segments(part.table(), run, hyper.weightDecay(), scale);
            pieces[i] = new Piece(run, list.size(), segments.size());
            list.addAll(segments);
        }
        upload(state.ends, list, (segment, values) -> values.putLong(segment.end));
        upload(state.decay, list, (segment, values) -> values.putFloat(segment.decay));
        upload(state.lrScale, list, (segment, values) -> values.putFloat(segment.scale));
    }

    private void upload(Arena.Tensor tensor, List<Segment> list, BiConsumer<Segment, ByteBuffer> put) {
        ByteBuffer values = staging.buffer().clear();
        list.forEach(segment -> put.accept(segment, values));
        state.arena.upload(tensor, staging, values.position());
        backend.synchronize(); // the block is to be written again
    }

    /** What the optimizer of these parameters holds. */
    static MemoryPlan memory(TrainedPart part, Dtype moments) {
        return new MemoryPlan().add(new State(part, moments).arena, name -> name.equals("m") || name.equals("v") ? "moments" : "optimizer")
                .addHost("optimizer", hostBytes(part));
    }

    private static int hostBytes(TrainedPart part) {
        return Math.max(part.table().slices().size() * Long.BYTES, stepBytes(part));
    }

    /** What goes to the device for each step. */
    private static int stepBytes(TrainedPart part) {
        return HYPER_BYTES + part.runs().size() * RNG_BYTES;
    }

    /** A run of the buffers, and which segments are its. */
    private record Piece(TrainedPart.Run run, int firstSegment, int segments) {}

    /** Neighbours in a run with the same weight decay and learning rate, see wb_adamw. */
    private record Segment(long end, float decay, float scale) {
        boolean isLike(Segment other) {
            return decay == other.decay && scale == other.scale;
        }
    }

    /** The gap in front of a parameter belongs to its segment; what gaps hold is 0, and of 0 an update makes 0. */
    private static List<Segment> segments(ParameterTable table, TrainedPart.Run run, double weightDecay, ToDoubleFunction<Slice> scale) {
        Deque<Segment> segments = new ArrayDeque<>();
        for (Slice slice : table.slices()) {
            if (slice.offset() < run.from() || slice.offset() >= run.from() + run.count()) {
                continue;
            }
            Segment segment = new Segment(slice.offset() + slice.count() - run.from(), slice.region().decays() ? (float) weightDecay : 0,
                    (float) scale.applyAsDouble(slice));
            if (!segments.isEmpty() && segments.getLast().isLike(segment)) {
                segments.removeLast();
            }
            segments.addLast(segment);
        }
        Segment last = segments.removeLast();
        segments.addLast(new Segment(run.count(), last.decay, last.scale)); // with the gap at the end
        return List.copyOf(segments);
    }

    /** One update from the gradients as they stand, those of the loss times {@code lossScale}. */
    void step(double lr, float lossScale) {
        long step = taken + 1;
        // of the betas that the kernel has: 1 - 0.999f is 1.3e-5 off 1 - 0.999, and v / c2 would be
        double c1 = 1 - Math.pow((float) Hyperparameters.BETA1, step);
        double c2 = 1 - Math.pow((float) Hyperparameters.BETA2, step);
        // the step before was waited for, and with it the copy from here
        ByteBuffer values = staging.buffer().clear().putFloat((float) lr).putFloat((float) c1).putFloat((float) c2).putFloat(lossScale);
        for (Piece piece : pieces) {
            values.putLong(seed).putLong(step).putLong(piece.run.from());
        }
        state.arena.upload(state.hyper, staging, values.position());
        TouchedRows touched = gradients.touched();
        backend.gradientNorm(state.stats.address(), state.workspace.address(), gradients.address(), touched.address(),
                state.hyper.address() + 3 * Float.BYTES, clip, gradients.part().size(), touched.rows(), touched.width());
        long rng = state.hyper.address() + HYPER_BYTES;
        for (Piece piece : pieces) {
            update(piece.run, rng, piece.firstSegment, piece.segments, piece.run.at() == 0 ? touched : TouchedRows.ALL);
            rng += RNG_BYTES;
        }
    }

    private void update(TrainedPart.Run run, long rng, long firstSegment, int segments, TouchedRows touched) {
        long rounded = parameters.roundedAddress();
        long inMoments = run.at() * moments.bytes();
        backend.adamw(parameters.dtype(), moments, parameters.address() + run.from() * Float.BYTES, state.m.address() + inMoments,
                state.v.address() + inMoments, rounded == 0 ? 0 : rounded + run.from() * parameters.dtype().bytes(),
                gradients.address() + run.at() * Float.BYTES, touched.address(), state.stats.address(), state.hyper.address(),
                rng, state.ends.address() + firstSegment * Long.BYTES,
                state.decay.address() + firstSegment * Float.BYTES, state.lrScale.address() + firstSegment * Float.BYTES,
                (float) Hyperparameters.BETA1, (float) Hyperparameters.BETA2, (float) Hyperparameters.EPSILON, run.count(), segments, touched.rows(),
                touched.width());
    }

    /** [3], what became of the last {@link #step}: see wb_gradient_norm. */
    Arena.Tensor stats() {
        return state.stats;
    }

    /** Hears that a step's gradient was finite, so that it changed the weights; before the next {@link #step}. */
    void stepped() {
        taken++;
    }

    /** Steps that changed the weights. */
    long taken() {
        return taken;
    }

    /** Writes both moments and which words were touched, for {@link #read}. */
    void write(OutputStream to) throws IOException {
        state.m.write(to);
        state.v.write(to);
        to.write(gradients.touchedWords());
    }

    /** Goes on after so many steps, with what {@link #write} wrote then. */
    void read(DataInput from, long newTaken) throws IOException {
        state.m.read(from);
        state.v.read(from);
        byte[] words = new byte[Math.toIntExact(gradients.touched().rows())];
        from.readFully(words);
        gradients.touch(words);
        taken = newTaken;
    }

    @Override
    public void close() {
        state.arena.close();
        staging.close();
    }
}
