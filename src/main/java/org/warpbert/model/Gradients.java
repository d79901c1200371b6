package org.warpbert.model;

import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.DeviceMemory;

/** Gradients of the parameters that are trained, one flat float32 buffer: see {@link TrainedPart}. */
public final class Gradients implements AutoCloseable {
    private final Backend backend;
    private final TrainedPart part;
    private final DeviceMemory memory;

    /** Of all parameters. */
    public Gradients(Backend backend, ParameterTable table) {
        this(backend, new TrainedPart(table, 0));
    }

    public Gradients(Backend backend, TrainedPart part) {
        this.backend = backend;
        this.part = part;
        this.memory = backend.allocate("the gradients", plannedBytes(part));
        memory.zero(); // the gaps stay 0, so that the norm may run over the whole buffer
    }

    /** Bytes that they take. */
    public static long plannedBytes(TrainedPart part) {
        return part.size() * Float.BYTES;
    }

    /** Clears what ops add to: tables and vectors. Matrices' gradients are written by the step's first GEMM. */
    void clear() {
        backend.zero(memory.address(), part.beforeMatrices() * Float.BYTES);
    }

    /** The parameters that have gradients. */
    public TrainedPart part() {
        return part;
    }

    /** Address of a parameter's gradient, or 0: it is frozen, and has none. */
    long address(String name) {
        long place = part.place(part.table().slice(name));
        return place < 0 ? 0 : memory.address() + place * Float.BYTES;
    }

    public long address() {
        return memory.address();
    }

    /** One parameter's gradient, row-major; an error where it is frozen. */
    public float[] get(String name) {
        ParameterTable.Slice slice = part.table().slice(name);
        long place = part.place(slice);
        if (place < 0) {
            throw new WarpBertException(name + " is frozen: it has no gradient");
        }
        return memory.downloadFloats(place, Math.toIntExact(slice.count()));
    }

    @Override
    public void close() {
        memory.close();
    }
}
