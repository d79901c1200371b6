package org.warpbert.model;

import java.util.Arrays;
import java.util.SplittableRandom;

/** What parameters begin with (Devlin et al. 2019's code): matrices and tables random, LayerNorm's gains 1, the rest 0. */
final class FreshWeights {
    private static final double RANGE = 0.02; // standard deviation

    private FreshWeights() {}

    /** A parameter's values; random ones are from N(0, 0.02), truncated at two deviations. */
    static float[] of(ParameterTable.Slice slice, long seed) {
        float[] values = new float[Math.toIntExact(slice.count())];
        if (slice.name().endsWith("LayerNorm.weight")) {
            Arrays.fill(values, 1);
        } else if (slice.region().decays()) {
            SplittableRandom random = new SplittableRandom(seed ^ slice.name().hashCode());
            for (int i = 0; i < values.length; i++) {
                double x;
                do {
                    x = random.nextGaussian();
                } while (Math.abs(x) > 2);
                values[i] = (float) (RANGE * x);
            }
        }
        return values;
    }
}
