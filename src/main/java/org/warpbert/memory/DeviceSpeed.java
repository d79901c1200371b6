package org.warpbert.memory;

import org.warpbert.backend.Backend;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.Dtype;

/**
 * How fast a device is, for predictions.
 *
 * @param flops    of a matrix product, per second
 * @param bytes    read and written by ops that only move, per second
 * @param measured false: an assumption about a device that is not here
 */
public record DeviceSpeed(double flops, double bytes, boolean measured) {
    /** Two cores of a server, of the order of what was measured on one: enough to weigh one plan against another. */
    public static final DeviceSpeed CPU = new DeviceSpeed(1.5e11, 1.5e10, false);
    /** A small GPU in float32. Not yet measured on a GPU. */
    public static final DeviceSpeed CUDA = new DeviceSpeed(8e12, 3e11, false);

    private static final int ROWS = 512; // a layer's first feed-forward product in BERT-base
    private static final int IN = 768;
    private static final int OUT = 3072;
    private static final int ROUNDS = 4;
    private static final long COPIED = 64L << 20; // more than caches hold

    /** Of a device by name. */
    public static DeviceSpeed assumed(String device) {
        return device.equals("cuda") ? CUDA : CPU;
    }

    /** Times a product and a copy; takes some tenths of a second, and 140 MB of the device. */
    public static DeviceSpeed measure(Backend backend) {
        try (DeviceMemory from = backend.allocate("what is copied", COPIED);
                DeviceMemory to = backend.allocate("the copy", COPIED);
                DeviceMemory x = backend.allocate("a product's input", (long) ROWS * IN * Float.BYTES);
                DeviceMemory w = backend.allocate("a product's weights", (long) OUT * IN * Float.BYTES);
                DeviceMemory y = backend.allocate("a product's output", (long) ROWS * OUT * Float.BYTES)) {
            x.zero();
            w.zero();
            y.zero();
            double product = seconds(backend, () -> backend.gemm().forward(Dtype.F32, y.address(), x.address(), w.address(), ROWS, IN, OUT));
            from.zero();
            double copy = seconds(backend, () -> backend.copy(to.address(), from.address(), COPIED));
            return new DeviceSpeed(2.0 * ROWS * IN * OUT / product, 2 * COPIED / copy, true);
        }
    }

    /** The quickest of some runs, after one to warm up. */
    private static double seconds(Backend backend, Runnable work) {
        double best = Double.MAX_VALUE;
        for (int round = 0; round < ROUNDS; round++) {
            backend.synchronize();
            long start = System.nanoTime();
            work.run();
            backend.synchronize();
            best = round == 0 ? best : Math.min(best, (System.nanoTime() - start) / 1e9);
        }
        return best;
    }
}
