package org.warpbert.task;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import org.warpbert.WarpBertException;
import org.warpbert.text.LabelMap;

/**
 * How much an example of each class counts in the loss.
 *
 * @param named weights by label, 1 for those not named; null: balanced, so that every class counts as much as any other in the
 *              training data as a whole
 */
public record ClassWeights(Map<String, Double> named) {
    public static final ClassWeights BALANCED = new ClassWeights(null);

    public ClassWeights {
        if (named != null) {
            named.forEach((label, weight) -> {
                if (!(weight > 0 && weight <= Float.MAX_VALUE)) {
                    throw new WarpBertException("the weight of the class '" + label + "' is " + weight + ", it must be a positive number");
                }
            });
        }
    }

    /** From {@code balanced} or {@code LABEL=WEIGHT,…}. */
    public static ClassWeights parse(String text) {
        if (text.equals(BALANCED.toString())) {
            return BALANCED;
        }
        Map<String, Double> named = new LinkedHashMap<>();
        for (String part : text.split(",")) {
            int equals = part.lastIndexOf('=');
            try {
                if (equals > 0 && named.put(part.substring(0, equals).strip(), Double.valueOf(part.substring(equals + 1))) == null) {
                    continue;
                }
            } catch (NumberFormatException e) {
                // said below
            }
            throw new WarpBertException("the class weights (--class-weights) have '" + part + "'; they must be balanced, or LABEL=WEIGHT with commas between, each label once");
        }
        return new ClassWeights(named);
    }

    @Override
    public String toString() {
        return named == null ? "balanced" : named.toString();
    }

    /**
     * The weights by class number, [C].
     *
     * @param classes of the training examples
     * @param file    they come from
     */
    float[] of(LabelMap labels, int[] classes, Path file) {
        float[] weights = new float[labels.size()];
        if (named == null) {
            int[] counts = new int[weights.length];
            for (int id : classes) {
                counts[id]++;
            }
            for (int c = 0; c < weights.length; c++) {
                if (counts[c] == 0) {
                    throw new WarpBertException(file + " has no example of the class '" + labels.label(c) + "', so that balanced weights are not defined");
                }
                weights[c] = (float) ((double) classes.length / weights.length / counts[c]);
            }
            return weights;
        }
        Map<String, Double> rest = new TreeMap<>(named);
        for (int c = 0; c < weights.length; c++) {
            Double weight = rest.remove(labels.label(c));
            weights[c] = weight == null ? 1 : weight.floatValue();
        }
        if (!rest.isEmpty()) {
            throw new WarpBertException("the class weights (--class-weights) name '" + String.join("', '", rest.keySet()) + "'; known labels: "
                    + String.join(", ", labels.labels()));
        }
        return weights;
    }
}
