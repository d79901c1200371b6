package org.warpbert.bench;

import java.util.TreeMap;
import org.warpbert.backend.Backend;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.Dtype;

/**
 * What the machine itself does, measured in the same run: how fast it copies and how fast it multiplies. Shares are of
 * these, not of a data sheet.
 */
public final class Roofline {
    private static final long LARGEST_COPY = 512L << 20;
    private static final int COPY_REPEATS = 7;
    private static final int GEMM_REPEATS = 5;

    /** Rows, in and out of the products tried: bert-base's and bert-large's at a batch's length, and a square one. */
    private static final int[][] PRODUCTS = {{1024, 768, 3072}, {1024, 3072, 768}, {2048, 1024, 4096}, {1536, 1536, 1536}};
    /** The same where a thousand rows are over before the device is full. */
    private static final int[][] LARGE_PRODUCTS = {{16384, 768, 3072}, {16384, 3072, 768}, {8192, 1024, 4096}, {8192, 8192, 8192}};

    private final Backend backend;
    private final Stopwatch stopwatch;
    private final TreeMap<Long, Double> copyRates = new TreeMap<>(); // bytes moved (read and written), GB/s
    private final double gemmGflops;

    private Roofline(Backend backend, Stopwatch stopwatch, double gemmGflops) {
        this.backend = backend;
        this.stopwatch = stopwatch;
        this.gemmGflops = gemmGflops;
    }

    /** Measures the matrix-product rate in this type; copy rates are measured when they are asked for. */
    public static Roofline measure(Backend backend, Stopwatch stopwatch, Dtype dtype) {
        double best = 0;
        for (int[] p : backend.isHost() ? PRODUCTS : LARGE_PRODUCTS) {
            long rows = p[0];
            long in = p[1];
            long out = p[2];
            try (Tensors tensors = new Tensors(backend)) {
                long y = tensors.of(dtype, rows * out);
                long x = tensors.of(dtype, rows * in);
                long w = tensors.of(dtype, out * in);
                Timing timing = stopwatch.measure("gemm", 1, GEMM_REPEATS, () -> backend.gemm().forward(dtype, y, x, w, p[0], p[1], p[2]));
                best = Math.max(best, 2e-9 * rows * in * out / timing.median());
            }
        }
        return new Roofline(backend, stopwatch, best);
    }

    /** GFLOP/s of the fastest of some large products. */
    public double gemmGflops() {
        return gemmGflops;
    }

    /** GB/s, read and written, of a copy that no cache holds. */
    public double copyGbPerSecond() {
        return copyGbPerSecond(LARGEST_COPY);
    }

    /**
     * GB/s of a copy that moves about as many bytes as an op does: what a cache holds is copied faster, and an op on it
     * is to be judged by that.
     */
    double copyGbPerSecond(long bytes) {
        long moved = Math.min(Math.max(Long.highestOneBit(bytes), 8 << 10), LARGEST_COPY);
        return copyRates.computeIfAbsent(moved, this::measureCopy);
    }

    private double measureCopy(long moved) {
        long bytes = moved / 2;
        try (DeviceMemory from = backend.allocate("the copy's source", bytes); DeviceMemory to = backend.allocate("the copy", bytes)) {
            from.zero();
            Timing timing = stopwatch.measure("copy", 2, COPY_REPEATS, () -> backend.copy(to.address(), from.address(), bytes));
            return moved * 1e-9 / timing.median();
        }
    }
}
