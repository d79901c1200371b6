package org.warpbert.model;

import org.warpbert.backend.Backend;
import org.warpbert.backend.DeviceMemory;

/** Gradients of all parameters, one flat float32 buffer laid out as the weights. */
public final class Gradients implements AutoCloseable {
    private final Backend backend;
    private final ParameterTable table;
    private final DeviceMemory memory;

    public Gradients(Backend backend, ParameterTable table) {
        this.backend = backend;
        this.table = table;
        this.memory = backend.allocate("the gradients", plannedBytes(table));
        memory.zero(); // the gaps stay 0, so that the norm may run over the whole buffer
    }

    /** Bytes that they take. */
    public static long plannedBytes(ParameterTable table) {
        return table.size() * Float.BYTES;
    }

    /** Clears what ops add to: tables and vectors. Matrices' gradients are written by the step's first GEMM. */
    void clear() {
        backend.zero(memory.address(), table.end(ParameterTable.Region.VECTORS) * Float.BYTES);
    }

    public long address() {
        return memory.address();
    }

    /** One parameter's gradient, row-major. */
    public float[] get(String name) {
        ParameterTable.Slice slice = table.slice(name);
        return memory.downloadFloats(slice.offset(), Math.toIntExact(slice.count()));
    }

    @Override
    public void close() {
        memory.close();
    }
}
