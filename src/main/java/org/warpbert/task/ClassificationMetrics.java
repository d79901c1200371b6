package org.warpbert.task;

/** Counts of (true class, predicted class) and what is read off them. */
public final class ClassificationMetrics {
    private final long[][] counts; // [true][predicted]
    private long examples;

    public ClassificationMetrics(int classes) {
        counts = new long[classes][classes];
    }

    /** Adds one example. */
    public void add(int label, int predicted) {
        counts[label][predicted]++;
        examples++;
    }

    /** Share of examples whose class was predicted. */
    public double accuracy() {
        long right = 0;
        for (int c = 0; c < counts.length; c++) {
            right += counts[c][c];
        }
        return (double) right / examples;
    }

    /** Share of examples of the most frequent class: what always answering it would reach. */
    public double majority() {
        long most = 0;
        for (long[] row : counts) {
            long sum = 0;
            for (long count : row) {
                sum += count;
            }
            most = Math.max(most, sum);
        }
        return (double) most / examples;
    }

    /**
     * Matthews correlation for any number of classes (Gorodkin 2004, equation 8), from -1 to 1; 0 where all examples
     * or all predictions are of one class, as scikit-learn has it.
     */
    public double matthewsCorrelation() {
        int classes = counts.length;
        double[] predicted = new double[classes];
        double[] actual = new double[classes];
        double right = 0;
        for (int i = 0; i < classes; i++) {
            right += counts[i][i];
            for (int j = 0; j < classes; j++) {
                actual[i] += counts[i][j];
                predicted[j] += counts[i][j];
            }
        }
        double both = 0;
        double actualSquares = 0;
        double predictedSquares = 0;
        for (int c = 0; c < classes; c++) {
            both += actual[c] * predicted[c];
            actualSquares += actual[c] * actual[c];
            predictedSquares += predicted[c] * predicted[c];
        }
        double n = examples;
        double denominator = Math.sqrt(n * n - predictedSquares) * Math.sqrt(n * n - actualSquares);
        return denominator == 0 ? 0 : (right * n - both) / denominator;
    }
}
