package org.warpbert.model;

import org.warpbert.backend.Backend;
import org.warpbert.backend.DeviceMemory;

/** Gradients of the parameters, one flat float32 buffer laid out as the weights. Those of frozen levels stay 0. */
public final class Gradients implements AutoCloseable {
    private final Backend backend;
    private final ParameterTable table;
    private final DeviceMemory memory;
    private final int frozenLevels;

    /** Of all parameters. */
    public Gradients(Backend backend, ParameterTable table) {
        this(backend, table, 0);
    }

    /** @param frozenLevels levels from below that have none: see {@link ParameterTable.Slice#level} */
    public Gradients(Backend backend, ParameterTable table, int frozenLevels) {
        this.backend = backend;
        this.table = table;
        this.frozenLevels = frozenLevels;
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

    /** Levels from below that have no gradients. */
    public int frozenLevels() {
        return frozenLevels;
    }

    /**
     * Where gradients that count begin, in floats: behind the tables where these are frozen, since a decoder that is tied to
     * the word embeddings writes there all the same.
     */
    public long from() {
        return frozenLevels > 0 ? table.end(ParameterTable.Region.TABLES) : 0;
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
