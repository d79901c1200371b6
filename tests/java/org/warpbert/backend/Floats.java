package org.warpbert.backend;

import java.util.Arrays;
import java.util.SplittableRandom;

/** Seeded numbers and the few vector operations that the tests need. */
public final class Floats {
    private Floats() {}

    /** N(0, scale), as floats. */
    static float[] normal(long seed, int count, double scale) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) (scale * random.nextGaussian());
        }
        return values;
    }

    static float[] normal(long seed, int count) {
        return normal(seed, count, 1);
    }

    /** 1 + N(0, 0.3): gains of a LayerNorm. */
    static float[] gains(long seed, int count) {
        float[] values = normal(seed, count, 0.3);
        for (int i = 0; i < count; i++) {
            values[i] += 1;
        }
        return values;
    }

    static float[] filled(int count, float value) {
        float[] values = new float[count];
        Arrays.fill(values, value);
        return values;
    }

    static int[] integers(long seed, int count, int bound) {
        return new SplittableRandom(seed).ints(count, 0, bound).toArray();
    }

    public static double[] widen(float[] values) {
        double[] wide = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            wide[i] = values[i];
        }
        return wide;
    }

    static double dot(float[] a, float[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += (double) a[i] * b[i];
        }
        return sum;
    }

    public static double norm(float[] a) {
        return Math.sqrt(dot(a, a));
    }

    /** a + factor * b. */
    static float[] plus(float[] a, double factor, float[] b) {
        float[] sum = new float[a.length];
        for (int i = 0; i < a.length; i++) {
            sum[i] = (float) (a[i] + factor * b[i]);
        }
        return sum;
    }

    /** The largest |actual - expected| / |expected| of an element. */
    static double largestRelativeError(double[] expected, double[] actual) {
        double largest = 0;
        for (int i = 0; i < expected.length; i++) {
            largest = actual[i] == expected[i] ? largest : Math.max(largest, Math.abs((actual[i] - expected[i]) / expected[i]));
        }
        return largest;
    }

    /** ‖actual - expected‖ / max(‖expected‖, least); 0 where both are 0. */
    public static double relativeError(double[] expected, double[] actual, double least) {
        double difference = 0;
        double size = 0;
        for (int i = 0; i < expected.length; i++) {
            difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
            size += expected[i] * expected[i];
        }
        return difference == 0 ? 0 : Math.sqrt(difference) / Math.max(Math.sqrt(size), least);
    }
}
