package org.warpbert.task;

import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/** How far two series go together, from -1 to 1. NaN where a series is constant or holds NaN: then it is not defined. */
public final class Correlation {
    private Correlation() {}

    /** Of the values: whether one is a straight line of the other. */
    public static double pearson(double[] x, double[] y) {
        if (constant(x) || constant(y)) { // by values: a mean's rounding would leave a variance that is not 0
            return Double.NaN;
        }
        double meanX = Arrays.stream(x).average().orElse(Double.NaN);
        double meanY = Arrays.stream(y).average().orElse(Double.NaN);
        double both = 0;
        double squaresX = 0;
        double squaresY = 0;
        for (int i = 0; i < x.length; i++) {
            both += (x[i] - meanX) * (y[i] - meanY);
            squaresX += (x[i] - meanX) * (x[i] - meanX);
            squaresY += (y[i] - meanY) * (y[i] - meanY);
        }
        return both / (Math.sqrt(squaresX) * Math.sqrt(squaresY));
    }

    /** Of the ranks: whether one grows with the other. Equal values share the mean of their ranks. */
    public static double spearman(double[] x, double[] y) {
        boolean numbers = Arrays.stream(x).noneMatch(Double::isNaN) && Arrays.stream(y).noneMatch(Double::isNaN);
        return numbers ? pearson(ranks(x), ranks(y)) : Double.NaN;
    }

    private static double[] ranks(double[] values) {
        int[] order = IntStream.range(0, values.length).boxed().sorted(Comparator.comparingDouble(i -> values[i])).mapToInt(i -> i).toArray();
        double[] ranks = new double[values.length];
        for (int from = 0; from < order.length; ) {
            int to = from + 1;
            while (to < order.length && values[order[to]] == values[order[from]]) {
                to++;
            }
            for (int i = from; i < to; i++) {
                ranks[order[i]] = (from + to - 1) / 2.0;
            }
            from = to;
        }
        return ranks;
    }

    private static boolean constant(double[] values) {
        return Arrays.stream(values).allMatch(value -> value == values[0]);
    }
}
