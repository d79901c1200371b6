package org.warpbert.bench;

import org.warpbert.backend.Backend;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.Event;

/**
 * Times ops alone. A CPU's by the host's clock, operands as warm as their own runs leave them. Where work is queued, by the device's
 * clock between two events beside the op, each run after its caches were overwritten: in a step an op finds there what others
 * left. That writing also keeps the device busy until the op is queued, so that no launch is counted as an op's time.
 */
record Stopwatch(Backend backend) {
    private static final long FLUSHED = 256L << 20; // twice the second-level cache of any GPU that the kernels are built for
    private static final long FLUSHED_BY_HOST = 1 << 20; // simt has no cache of its own to be cleared

    /** What a report says of its times. */
    String clock() {
        return backend.asynchronous() ? "device, caches cleared" : "host";
    }

    /** As {@link Timing#measure}; {@code work} may return before it is done. */
    Timing measure(String name, int warmup, int repeats, Runnable work) {
        if (!backend.asynchronous()) {
            return Timing.measure(name, warmup, repeats, work);
        }
        double[] seconds = new double[repeats];
        try (DeviceMemory flush = backend.allocate("what clears the caches", backend.isHost() ? FLUSHED_BY_HOST : FLUSHED);
                Event begin = backend.timedEvent(); Event end = backend.timedEvent()) {
            for (int i = -warmup; i < repeats; i++) {
                flush.zero();
                begin.record();
                work.run();
                end.record();
                double took = end.secondsSince(begin);
                if (i >= 0) {
                    seconds[i] = took;
                }
            }
        }
        return Timing.of(name, warmup, seconds);
    }
}
