package org.warpbert.bench;

import java.util.ArrayList;
import java.util.List;
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
    private static final int DEVICE_WARMUP = 20; // a device that waited for its operands has a low clock, and chooses an algorithm

    /** Rows, in and out of the products tried: bert-base's and bert-large's at a batch's length, and a square one. */
    private static final int[][] PRODUCTS = {{1024, 768, 3072}, {1024, 3072, 768}, {2048, 1024, 4096}, {1536, 1536, 1536}};
    /** The same where a thousand rows are over before the device is full. */
    private static final int[][] LARGE_PRODUCTS = {{16384, 768, 3072}, {16384, 3072, 768}, {8192, 1024, 4096}, {8192, 8192, 8192}};

    private final Backend backend;
    private final Stopwatch stopwatch;
    private final TreeMap<Long, Double> copyRates = new TreeMap<>(); // bytes moved (read and written), GB/s
    private final Dtype dtype;
    private final int[] product; // the fastest: rows, in, out
    private double gemmGflops;

    private Roofline(Backend backend, Stopwatch stopwatch, Dtype dtype, int[] product, double gemmGflops) {
        this.backend = backend;
        this.stopwatch = stopwatch;
        this.dtype = dtype;
        this.product = product;
        this.gemmGflops = gemmGflops;
    }

    /** Measures the matrix-product rate in this type; copy rates are measured when they are asked for. */
    public static Roofline measure(Backend backend, Stopwatch stopwatch, Dtype dtype) {
        double best = 0;
        int[] fastest = null;
        for (int[] p : backend.isHost() ? PRODUCTS : LARGE_PRODUCTS) {
            long rows = p[0];
            long in = p[1];
            long out = p[2];
            try (Tensors tensors = new Tensors(backend)) {
                long y = tensors.of(dtype, rows * out);
                long x = tensors.of(dtype, rows * in);
                long w = tensors.of(dtype, out * in);
                Timing timing = stopwatch.measure("gemm", backend.isHost() ? 1 : DEVICE_WARMUP, GEMM_REPEATS, () -> backend.gemm().forward(dtype, y, x, w, p[0], p[1], p[2]));
                double gflops = 2e-9 * rows * in * out / timing.median();
                fastest = gflops > best ? p : fastest;
                best = Math.max(best, gflops);
            }
        }
        return new Roofline(backend, stopwatch, dtype, fastest, best);
    }

    /**
     * Runs the fastest of the products now and then beside something that takes long, on a host: its clock and what else the machine
     * does change within seconds. {@link #gemmGflops} is then what it did meanwhile.
     */
    final class Beside implements AutoCloseable {
        private static final int RUNS = 3;

        private final Tensors tensors = new Tensors(backend);
        private final long y = tensors.of(dtype, (long) product[0] * product[2]);
        private final long x = tensors.of(dtype, (long) product[0] * product[1]);
        private final long w = tensors.of(dtype, (long) product[2] * product[1]);
        private final List<Double> seconds = new ArrayList<>();
        private long nanos;

        void run() {
            long before = System.nanoTime();
            for (int i = 0; i < RUNS; i++) {
                long start = System.nanoTime();
                backend.gemm().forward(dtype, y, x, w, product[0], product[1], product[2]);
                if (i > 0) { // its operands are in the cache
                    seconds.add((System.nanoTime() - start) * 1e-9);
                }
            }
            nanos += System.nanoTime() - before;
        }

        /** What it took in all, which is no time of what it ran beside. */
        long nanos() {
            return nanos;
        }

        @Override
        public void close() {
            tensors.close();
            if (!seconds.isEmpty()) {
                Timing timing = Timing.of("gemm", 0, seconds.stream().mapToDouble(Double::doubleValue).toArray());
                gemmGflops = 2e-9 * product[0] * product[1] * product[2] / timing.median();
            }
        }
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
