package org.warpbert.benchmarks;

import java.util.Arrays;

/** The middle of a series of times, which one slow step does not move. */
final class Median {
    private Median() {}

    static double of(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return (sorted[(sorted.length - 1) / 2] + sorted[sorted.length / 2]) / 2;
    }
}
