package org.warpbert.backend;

/** Rows' mean and 1 / sqrt(variance + eps) in float64. */
record RowNorm(double[] input, double[] mean, double[] rstd) {
    static RowNorm of(double[] input, int columns, double eps) {
        int rows = input.length / columns;
        double[] mean = new double[rows];
        double[] rstd = new double[rows];
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                mean[r] += input[r * columns + c] / columns;
            }
            double variance = 0;
            for (int c = 0; c < columns; c++) {
                variance += Math.pow(input[r * columns + c] - mean[r], 2) / columns;
            }
            rstd[r] = 1 / Math.sqrt(variance + eps);
        }
        return new RowNorm(input, mean, rstd);
    }

    static float[] floats(double[] values) {
        float[] narrow = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            narrow[i] = (float) values[i];
        }
        return narrow;
    }
}
