package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class ClassificationMetricsTest {
    private static ClassificationMetrics of(int classes, int[][] counts) {
        ClassificationMetrics metrics = new ClassificationMetrics(classes);
        for (int i = 0; i < classes; i++) {
            for (int j = 0; j < classes; j++) {
                for (int n = 0; n < counts[i][j]; n++) {
                    metrics.add(i, j);
                }
            }
        }
        return metrics;
    }

    @Test
    void twoClassesByTheTwoClassFormula() {
        // (tp tn - fp fn) / sqrt((tp + fp)(tp + fn)(tn + fp)(tn + fn)), tn 50, fp 7, fn 11, tp 32
        ClassificationMetrics metrics = of(2, new int[][] {{50, 7}, {11, 32}});
        assertEquals((32.0 * 50 - 7 * 11) / Math.sqrt(39.0 * 43 * 57 * 61), metrics.matthewsCorrelation(), 1e-12);
        assertEquals(0.82, metrics.accuracy(), 1e-12);
        assertEquals(0.57, metrics.majority(), 1e-12);
    }

    /** With class numbers as one-hot vectors the coefficient is a correlation: sum over classes of covariances. */
    @Test
    void manyClassesAsACorrelationOfOneHotVectors() {
        SplittableRandom random = new SplittableRandom(5);
        int classes = 5;
        int[][] counts = new int[classes][classes];
        for (int i = 0; i < 400; i++) {
            int label = random.nextInt(classes);
            counts[label][random.nextInt(3) > 0 ? label : random.nextInt(classes)]++;
        }
        double n = 400;
        double covariance = 0;
        double predictedVariance = 0;
        double actualVariance = 0;
        for (int c = 0; c < classes; c++) {
            double actual = 0;
            double predicted = 0;
            for (int k = 0; k < classes; k++) {
                actual += counts[c][k];
                predicted += counts[k][c];
            }
            covariance += counts[c][c] / n - actual / n * predicted / n;
            actualVariance += actual / n * (1 - actual / n);
            predictedVariance += predicted / n * (1 - predicted / n);
        }
        assertEquals(covariance / Math.sqrt(actualVariance * predictedVariance), of(classes, counts).matthewsCorrelation(), 1e-12);
    }

    @Test
    void nothingToCorrelate() {
        assertEquals(0, of(2, new int[][] {{6, 0}, {4, 0}}).matthewsCorrelation()); // one class predicted
        assertEquals(0, of(2, new int[][] {{6, 3}, {0, 0}}).matthewsCorrelation()); // one class there
    }

    @Test
    void allRightAndAllWrong() {
        assertEquals(1, of(3, new int[][] {{6, 0, 0}, {0, 2, 0}, {0, 0, 9}}).matthewsCorrelation(), 1e-12);
        assertEquals(-1, of(2, new int[][] {{0, 5}, {7, 0}}).matthewsCorrelation(), 1e-12);
    }
}
