package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

class CorrelationTest {
    @Test
    void byHand() {
        // deviations -2 -1 0 1 2 and -2 0 -1 1 2: 9 / sqrt(10 * 10)
        double[] x = {1, 2, 3, 4, 5};
        double[] y = {1, 3, 2, 4, 5};
        assertEquals(0.9, Correlation.pearson(x, y), 1e-15);
        assertEquals(0.9, Correlation.spearman(x, y), 1e-15);
        assertEquals(-1, Correlation.pearson(x, new double[] {7, 5, 3, 1, -1}), 1e-15);
    }

    /** A curve that only grows: ranks agree where values are not on a line. */
    @Test
    void ranksSeeOrderAlone() {
        double[] x = {0, 1, 2, 3};
        double[] y = {0, 1, 8, 27};
        // deviations -1.5 -.5 .5 1.5 and -9 -8 -1 18: 44 / sqrt(5 * 470)
        assertEquals(44 / Math.sqrt(5 * 470), Correlation.pearson(x, y), 1e-15);
        assertEquals(1, Correlation.spearman(x, y), 1e-15);
    }

    /** Equal values share the mean of their ranks, whatever order they stand in. */
    @Test
    void tiesAreAveraged() {
        // ranks 1.5 3 1.5 4 and 1 3 3 3: deviations -1 .5 -1 1.5 and -1.5 .5 .5 .5: 2 / sqrt(4.5 * 3)
        double expected = 2 / Math.sqrt(4.5 * 3);
        assertEquals(expected, Correlation.spearman(new double[] {2, 5, 2, 9}, new double[] {-4, 10, 10, 10}), 1e-15);
        assertEquals(expected, Correlation.spearman(new double[] {5, 2, 9, 2}, new double[] {10, 10, 10, -4}), 1e-15);
        assertEquals(1, Correlation.spearman(new double[] {0.0, -0.0, 1}, new double[] {2, 2, 3}), 1e-15);
    }

    /** The mean of many 0.1 is not 0.1: rounding must not pass for a variance. */
    @Test
    void ofConstantsItIsNotDefined() {
        double[] same = new double[1000];
        Arrays.fill(same, 0.1);
        double[] other = new double[1000];
        Arrays.setAll(other, i -> i % 7);
        assertTrue(Double.isNaN(Correlation.pearson(same, other)));
        assertTrue(Double.isNaN(Correlation.pearson(other, same)));
        assertTrue(Double.isNaN(Correlation.spearman(same, other)));
        assertTrue(Double.isNaN(Correlation.pearson(new double[] {1}, new double[] {2})));
        assertTrue(Double.isNaN(Correlation.pearson(new double[] {1, Double.NaN, 2}, new double[] {1, 2, 3})));
        assertTrue(Double.isNaN(Correlation.spearman(new double[] {1, Double.NaN, 2}, new double[] {1, 2, 3})));
    }

    @Test
    void aShiftAndAScaleChangeNothing() {
        double[] x = {0.3, 4.1, 2.2, 5, 1.7, 0.3};
        double[] y = {1.1, 3.9, 0.2, 4.4, 2.6, 1.0};
        double[] moved = Arrays.stream(y).map(v -> 1e6 + 3 * v).toArray();
        assertEquals(Correlation.pearson(x, y), Correlation.pearson(x, moved), 1e-9);
        assertEquals(Correlation.spearman(x, y), Correlation.spearman(x, moved), 1e-15);
    }
}
