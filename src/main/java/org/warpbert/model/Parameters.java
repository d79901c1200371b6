package org.warpbert.model;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.Dtype;
import org.warpbert.backend.HostMemory;
import org.warpbert.format.TensorSource;
import org.warpbert.memory.MemoryPlan;

/**
 * The weights of a model on a device, in one flat float32 buffer and, for products in 16 bits, another of that type; and
 * their way from and to files.
 */
public final class Parameters implements AutoCloseable {
    private final Backend backend;
    private final ParameterTable table;
    private final WeightFormat format;
    private final DeviceMemory weights;
    private final DeviceMemory operands; // null for float32
    private HostMemory staging; // of the largest parameter: weights come and go piece by piece
    private int packed; // matrices of the encoder layers that are rearranged for products: none, or all once a model has been made

    private Parameters(Backend backend, ParameterTable table, WeightFormat format) {
        this.backend = backend;
        this.table = table;
        this.format = format;
        weights = backend.allocate("the weights", format.floats(table) * Float.BYTES);
        weights.zero();
        try {
            operands = format.dtype() == Dtype.F32 ? null : backend.allocate("the weights in " + format.dtype(),
                    (table.size() - format.operandsFrom(table)) * format.dtype().bytes());
        } catch (RuntimeException e) {
            weights.close();
            throw e;
        }
        if (operands != null) {
            operands.zero();
        }
    }

    /** Fresh weights, kept in float32; see {@link FreshWeights}. */
    public static Parameters random(Backend backend, ParameterTable table, long seed) {
        return random(backend, table, WeightFormat.F32, seed);
    }

    /** As {@link #random(Backend, ParameterTable, long)}, kept otherwise. */
    public static Parameters random(Backend backend, ParameterTable table, WeightFormat format, long seed) {
        Parameters parameters = new Parameters(backend, table, format);
        return parameters.filled(slice -> parameters.put(slice, values -> values.put(FreshWeights.of(slice, seed))));
    }

    /**
     * Reads every parameter of the table. What a head or the pooler lacks in the file, or a head has there in another
     * shape, is initialised from {@code seed} and listed; anything else that is missing, mis-shaped or left over is an error
     * that names it.
     *
     * @param fresh receives the names of parameters that were initialised rather than read
     */
    public static Parameters load(Backend backend, ParameterTable table, TensorSource source, WeightFormat format, long seed,
            List<String> fresh) {
        rejectLeftOver(table, source);
        Parameters parameters = new Parameters(backend, table, format);
        return parameters.filled(slice -> {
            if (source.contains(slice.name()) && !(isHead(slice.name()) && ofOtherShape(slice.name(), table, source))) {
                parameters.put(slice, values -> source.read(slice.name(), slice.shape(), values));
            } else if (isHead(slice.name())) {
                parameters.put(slice, values -> values.put(FreshWeights.of(slice, seed)));
                fresh.add(slice.name());
            } else {
                source.shape(slice.name()); // throws: names the tensor, the file and its nearest tensors
            }
        });
    }

    /** With every parameter put in its place; or closed, if that fails. */
    private Parameters filled(Consumer<ParameterTable.Slice> fill) {
        try {
            table.slices().forEach(fill);
            loaded();
            return this;
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    /** What weights kept so take on a kind of device, and of the host while they come or go. */
    public static MemoryPlan memory(ParameterTable table, WeightFormat format, String device) {
        MemoryPlan plan = new MemoryPlan().add("weights", format.bytes(table));
        return Backends.isHost(device) ? plan : plan.addHost("weights", largest(table));
    }

    /** Parts that a pretrained encoder may come without, or with others of. */
    private static boolean isHead(String name) {
        return name.startsWith("classifier.") || name.startsWith("cls.") || name.startsWith("pooler.")
                || name.startsWith("qa_outputs.");
    }

    /** Whether a linear layer is of another shape in the file; weight and bias go together. */
    private static boolean ofOtherShape(String name, ParameterTable table, TensorSource source) {
        String weight = name.replaceFirst("\\.bias$", ".weight");
        String judged = table.contains(weight) && source.contains(weight) ? weight : name;
        return !name.startsWith("pooler.") && !Arrays.equals(source.shape(judged), table.slice(judged).shape());
    }

    private static void rejectLeftOver(ParameterTable table, TensorSource source) {
        List<String> unknown = new ArrayList<>();
        for (String name : source.shapes().keySet()) {
            if (!table.contains(name) && !isHead(name)) {
                unknown.add(name);
            }
        }
        if (!unknown.isEmpty()) {
            int shown = Math.min(3, unknown.size());
            throw new WarpBertException(source.location() + " holds " + unknown.size() + " tensors that this model has no place for: "
                    + String.join(", ", unknown.subList(0, shown)) + (unknown.size() > shown ? ", …" : "")
                    + "; does config.json (num_hidden_layers?) belong to it?");
        }
    }

    /** Has {@code fill} write a parameter's float32 values where they are kept, or on their way there. */
    private void put(ParameterTable.Slice slice, Consumer<FloatBuffer> fill) {
        int count = Math.toIntExact(slice.count());
        FloatBuffer view = keepsFloats(slice) ? weights.hostFloats(slice.offset(), count) : null;
        if (view != null) {
            fill.accept(view);
            round(slice, weights.address() + slice.offset() * Float.BYTES);
            return;
        }
        ByteBuffer values = staging(count);
        fill.accept(values.asFloatBuffer());
        if (keepsFloats(slice)) {
            weights.upload(slice.offset() * Float.BYTES, values);
            round(slice, weights.address() + slice.offset() * Float.BYTES);
        } else {
            try (DeviceMemory exact = backend.allocate(slice.name(), values.remaining())) {
                exact.upload(0, values);
                round(slice, exact.address());
            }
        }
        backend.synchronize(); // the block is to be written again
    }

    /** From a parameter's float32 values to what products read. */
    private void round(ParameterTable.Slice slice, long exact) {
        if (slice.offset() >= format.operandsFrom(table)) {
            backend.cast(operandsBase() + slice.offset() * dtype().bytes(), dtype(), exact, Dtype.F32, slice.count());
        }
    }

    private boolean keepsFloats(ParameterTable.Slice slice) {
        return slice.offset() < format.floats(table);
    }

    public ParameterTable table() {
        return table;
    }

    /** What products compute in. */
    public Dtype dtype() {
        return format.dtype();
    }

    /** Address of the flat float32 buffer. */
    public long address() {
        return weights.address();
    }

    /** Address of the whole table in {@link #dtype}, for the optimizer to write; 0 for float32. */
    public long roundedAddress() {
        requireMasters("trained", format.training());
        return operands == null ? 0 : operands.address();
    }

    /** Where the first element of the table would stand in {@link #dtype}. */
    private long operandsBase() {
        return operands == null ? weights.address() : operands.address() - format.operandsFrom(table) * dtype().bytes();
    }

    /**
     * Where a model finds these weights, and their gradients (null: none). Weights kept for inference alone are packed
     * for products by this, where the device gains by it: where they stand, so that it takes no memory.
     */
    ParameterBuffers buffers(Gradients gradients) {
        if (gradients != null) {
            requireMasters("trained", format.training());
        } else if (!format.training()) {
            List<ParameterTable.Slice> matrices = table.layerMatrices();
            while (packed < matrices.size() && pack(matrices.get(packed))) {
                packed++; // one by one: a refusal of scratch memory leaves the rest for the next time
            }
        }
        return new ParameterBuffers(table, address(), operandsBase(), dtype(), gradients, packed > 0);
    }

    private boolean pack(ParameterTable.Slice matrix) {
        return backend.gemm().pack(dtype(), operandsBase() + matrix.offset() * dtype().bytes(), Math.toIntExact(matrix.shape()[1]),
                Math.toIntExact(matrix.shape()[0]));
    }

    /** A packed matrix is no longer what its name says. */
    private void requireUnpacked(ParameterTable.Slice slice) {
        if (packed > 0 && slice.isLayerMatrix()) {
            throw new WarpBertException(slice.name() + " is kept for inference, and a model is made of it: it can no longer be read or set");
        }
    }

    private void requireMasters(String use, boolean kept) {
        if (!kept) {
            throw new WarpBertException("weights kept in " + dtype() + " for inference cannot be " + use);
        }
    }

    /** One parameter's values, row-major: float32, or rounded where nothing else is kept. */
    public float[] get(String name) {
        ParameterTable.Slice slice = table.slice(name);
        requireUnpacked(slice);
        int count = Math.toIntExact(slice.count());
        return keepsFloats(slice) ? weights.downloadFloats(slice.offset(), count)
                : operands.downloadFloats(dtype(), slice.offset() - format.operandsFrom(table), count);
    }

    /** Sets one parameter. */
    public void set(String name, float[] values) {
        ParameterTable.Slice slice = table.slice(name);
        requireUnpacked(slice);
        if (values.length != slice.count()) {
            throw new WarpBertException(name + " has " + slice.count() + " elements, " + values.length + " were given");
        }
        put(slice, buffer -> buffer.put(values));
        loaded();
    }

    /** Names and shapes of all parameters, in buffer order. */
    public Map<String, long[]> shapes() {
        Map<String, long[]> shapes = new LinkedHashMap<>();
        for (ParameterTable.Slice slice : table.slices()) {
            shapes.put(slice.name(), slice.shape());
        }
        return shapes;
    }

    /** One parameter's values on the host, themselves or in a buffer that the next call fills again: for writing a file. */
    public FloatBuffer host(String name) {
        requireMasters("written", format.training() || packed == 0 && dtype() == Dtype.F32);
        ParameterTable.Slice slice = table.slice(name);
        int count = Math.toIntExact(slice.count());
        FloatBuffer view = weights.hostFloats(slice.offset(), count);
        if (view != null) {
            return view;
        }
        ByteBuffer copy = staging(count);
        weights.download(slice.offset() * Float.BYTES, copy);
        return copy.asFloatBuffer();
    }

    /** So many floats of a host block that holds the largest parameter: where what is kept is no host's float32. */
    private ByteBuffer staging(int count) {
        if (staging == null) {
            long bytes = largest(table);
            if (bytes > Integer.MAX_VALUE) {
                throw new WarpBertException("a parameter of " + bytes / Float.BYTES + " elements is too large for one host buffer");
            }
            staging = backend.allocateHost("the weights", (int) bytes);
        }
        return staging.buffer().clear().limit(count * Float.BYTES);
    }

    /** Float32 bytes of the largest parameter. */
    private static long largest(ParameterTable table) {
        return table.slices().stream().mapToLong(ParameterTable.Slice::count).max().orElse(1) * Float.BYTES;
    }

    /** What is trained is written in the end: the block is kept, so that a refusal then cannot cost the run. */
    private void loaded() {
        if (!format.training()) {
            release();
        }
    }

    private void release() {
        if (staging != null) {
            staging.close();
            staging = null;
        }
    }

    @Override
    public void close() {
        release();
        weights.close();
        if (operands != null) {
            operands.close();
        }
    }
}
