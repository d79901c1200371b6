package org.warpbert.bench;

import java.util.Arrays;

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

    /** Of these times in seconds. */
    public static Timing of(String name, int warmup, double[] seconds) {
        double[] sorted = seconds.clone();
        Arrays.sort(sorted);
        double median = quantile(sorted, 0.5);
        return new Timing(name, median, (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / median, sorted[0],
                sorted[sorted.length - 1], warmup, sorted.length);
    }

    /**
     * Runs {@code work} and times it. {@code work} returns when all of it is done. What takes less than a millisecond is
     * run several times for each time taken, which is then their mean.
     *
     * @param warmup at least 1
     */
    public static Timing measure(String name, int warmup, int repeats, Runnable work) {
        long runs = 1;
        double[] seconds = new double[repeats];
        for (int i = -warmup; i < repeats; i++) {
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

    /** Of sorted values, linear between neighbours. */
    private static double quantile(double[] sorted, double share) {
        double at = share * (sorted.length - 1);
        int low = (int) at;
        int high = Math.min(low + 1, sorted.length - 1);
        return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
    }
}
