package org.warpbert.task;

import java.util.Objects;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Precision;

/**
 * What computes, and how much it may take.
 *
 * @param device    "auto", "cpu", "cuda", "cuda:1" or "simt", see {@link org.warpbert.backend.Backends#open}
 * @param threads   of the host; 0: all cores
 * @param precision what it computes in
 * @param memory    the most bytes to take, see {@link org.warpbert.memory.MemoryBudget}; 0: what is free, less a margin
 */
public record Compute(String device, int threads, Precision precision, long memory) {
    public Compute {
        Objects.requireNonNull(device, "device");
        Objects.requireNonNull(precision, "precision");
        if (memory < 0) {
            throw new WarpBertException("the memory to take (--memory) is " + memory + " bytes, it must be 0 (what is free) or more");
        }
    }

    /** A GPU where there is one, all cores, the device's own precision, the memory that is free. */
    public static final Compute AUTO = on("auto");

    /** A device, with all else as it comes. */
    public static Compute on(String device) {
        return new Compute(device, 0, Precision.AUTO, 0);
    }

    public Compute withThreads(int count) {
        return new Compute(device, count, precision, memory);
    }

    public Compute withPrecision(Precision other) {
        return new Compute(device, threads, other, memory);
    }

    public Compute withMemory(long bytes) {
        return new Compute(device, threads, precision, bytes);
    }
}
