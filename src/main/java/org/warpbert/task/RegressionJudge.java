package org.warpbert.task;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.warpbert.text.PackedBatch;

/** Correlations of predicted and true numbers, and their mean squared error. */
final class RegressionJudge implements Judge {
    static final String PEARSON = "pearson";
    static final String SPEARMAN = "spearman";
    private static final String MSE = "mse";

    private final ClassificationHead head;
    private final double[] labels;
    private final double[] predictions;
    private int count;

    /** @param examples as many as will be added */
    RegressionJudge(ClassificationHead head, int examples) {
        this.head = head;
        labels = new double[examples];
        predictions = new double[examples];
    }

    @Override
    public void add(PackedBatch batch) {
        float[] outputs = head.logits();
        for (int b = 0; b < batch.sequences(); b++, count++) {
            labels[count] = Float.intBitsToFloat(batch.labels()[b]);
            predictions[count] = outputs[b];
        }
    }

    @Override
    public Map<String, Double> metrics() {
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put(PEARSON, Correlation.pearson(labels, predictions));
        metrics.put(SPEARMAN, Correlation.spearman(labels, predictions));
        metrics.put(MSE, meanSquare(predictions));
        return metrics;
    }

    /** Of the mean everywhere, whose correlations are not defined. */
    @Override
    public Map<String, Double> baseline() {
        double[] mean = new double[labels.length];
        Arrays.fill(mean, Arrays.stream(labels).average().orElse(Double.NaN));
        return Map.of(MSE, meanSquare(mean));
    }

    private double meanSquare(double[] answers) {
        double sum = 0;
        for (int i = 0; i < labels.length; i++) {
            sum += (answers[i] - labels[i]) * (answers[i] - labels[i]);
        }
        return sum / labels.length;
    }
}
