package org.warpbert.bench;

import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongSupplier;

/**
 * The time of one thing, run again and again.
 *
 * @param name    what was run, the same in every report
 * @param median  seconds
 * @param spread  (third quartile - first quartile) / median: the noise of this measurement
 * @param min     seconds
 * @param max     seconds
 * @param warmup  runs before
 * @param repeats runs measured
 */
public record Timing(String name, double median, double spread, double min, double max, int warmup, int repeats) {
    private static final long LEAST_NANOS = 1_000_000; // a clock's reading and a waking thread are nothing beside it

    private static final long PAUSE_NANOS = 30_000_000;
    private static final long BUSY_NANOS = 20_000_000; // in a pause; the system counts in steps of 10 ms
    private static final int MOST_PAUSES = 30;

    /** Of these times in seconds. */
    public static Timing of(String name, int warmup, double[] seconds) {
        double[] sorted = seconds.clone();
        Arrays.sort(sorted);
        double median = quantile(sorted, 0.5);
        return new Timing(name, median, (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / median, sorted[0],
                sorted[sorted.length - 1], warmup, sorted.length);
    }

    /**
     * Runs {@code work} and times it, once the process has settled. {@code work} returns when all of it is done. What takes less than a millisecond is
     * run several times for each time taken, which is then their mean.
     *
     * @param warmup at least 1
     */
    public static Timing measure(String name, int warmup, int repeats, Runnable work) {
        return measure(name, warmup, repeats, work, () -> {});
    }

    /** The same, with something done before each time that is taken, which does not count. */
    static Timing measure(String name, int warmup, int repeats, Runnable work, Runnable between) {
        long runs = 1;
        double[] seconds = new double[repeats];
        for (int i = -warmup; i < repeats; i++) {
            if (i == 0) {
                settle(Timing::processNanos, Timing::pause);
            }
            if (i >= 0) {
                between.run();
            }
            long start = System.nanoTime();
            for (long run = 0; run < runs; run++) {
                work.run();
            }
            long nanos = System.nanoTime() - start;
            if (i >= 0) {
                seconds[i] = nanos * 1e-9 / runs;
            } else if (i == -1) {
                runs = Math.max(1, LEAST_NANOS * runs / Math.max(1, nanos));
            }
        }
        return of(name, warmup, seconds);
    }

    /**
     * Waits, {@value #MOST_PAUSES} pauses at most, until this process does nothing while nobody asks it to: Java's compiler and
     * collector have threads of their own, and would have a core that what is measured counts on. On two cores, products of the
     * first quarter of a second were seen to run at half their rate.
     */
    static void settle(LongSupplier processNanos, Runnable pause) {
        long before = processNanos.getAsLong();
        for (int i = 0; i < MOST_PAUSES; i++) {
            pause.run();
            long now = processNanos.getAsLong();
            if (now - before < BUSY_NANOS) {
                return;
            }
            before = now;
        }
    }

    private static void pause() {
        LockSupport.parkNanos(PAUSE_NANOS);
    }

    /** What all threads of this process have computed; 0 where the system does not say. */
    private static long processNanos() {
        return ProcessHandle.current().info().totalCpuDuration().map(Duration::toNanos).orElse(0L);
    }

    /** Of sorted values, linear between neighbours. */
    private static double quantile(double[] sorted, double share) {
        double at = share * (sorted.length - 1);
        int low = (int) at;
        int high = Math.min(low + 1, sorted.length - 1);
        return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
    }
}
