package org.warpbert.memory;

import org.warpbert.backend.Backends;

/**
 * What a process takes of a device's memory besides what it allocates there: the same whatever the model and the batch.
 * On a CPU the budget is the process's whole resident size, and this is Java with its heap, the libraries, the tokenizer and
 * OpenBLAS's buffers, measured (docs/memory.md says how). While a process runs, {@link MemoryBudget} takes what it really has.
 */
public final class FixedOverhead {
    /** Java, its libraries and the tokenizer, and a small training set. */
    private static final long JAVA = 112L << 20;
    /** OpenBLAS's packed blocks, for each thread. */
    private static final long THREAD = 8L << 20;
    /**
     * A CUDA context, cuBLASLt's library and the kernels' modules. Not yet measured on a GPU: contexts alone are reported to take
     * 555 to 616 MiB on large ones. gpu-check's budget step fails where it is too little, and says what it should be.
     */
    private static final long CUDA = 768L << 20;
    /** Graphs that a model for inference may hold at a time. */
    public static final int GRAPHS = 64;
    /** The same where it trains: a backward has three times a forward's kernels, and of a shape's three graphs two are backwards. */
    public static final int TRAINING_GRAPHS = GRAPHS * 3 / (1 + 3 + 3);
    /**
     * Of a captured forward on the device: for each of some hundred kernels its arguments and launch, and what the driver rounds
     * that up to. Not yet measured on a GPU.
     */
    private static final long GRAPH = 512L << 10;

    private FixedOverhead() {}

    /** Bytes on a device of this name, with so many host threads. */
    public static long of(String device, int threads) {
        return Backends.isHost(device) ? JAVA + THREAD * threads : CUDA + GRAPHS * GRAPH;
    }

    /** Whether {@link #of} was measured, rather than assumed. */
    public static boolean isMeasured(String device) {
        return Backends.isHost(device);
    }

    /** What a process on a CPU still grows by once its data and model are open: OpenBLAS's blocks, compiled code, garbage. */
    static long growth(int threads) {
        return (16L << 20) + THREAD * threads;
    }
}
