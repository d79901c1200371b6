package org.warpbert.backend;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.warpbert.reference.TorchOps;

/** Mean squared error and binary cross-entropy against libtorch in float64; elements without label masked afterwards. */
final class ElementwiseLossCases {
    private static final int[][] SIZES = {{1, 1}, {32, 1}, {31, 33}, {33, 32}, {97, 2}, {32, 31}, {3, 768}, {5, 1025}};

    private ElementwiseLossCases() {}

    static void add(OpTable table) {
        for (int[] size : SIZES) {
            squares(table, size[0], size[1]);
            binary(table, size[0], size[1], size[1] % 2 == 0, size[1] == 33 ? 40 : 1);
        }
    }

    private static void squares(OpTable table, int n, int c) {
        float[] prediction = table.operand(Floats.normal(n + c, n * c));
        float[] target = unlabelled(Floats.normal(n + c + 1, n * c));
        float scale = 1f / (n * c);
        OpCase op = common(OpCase.of("mean_squared_error", "N=" + n + " C=" + c), "prediction", prediction, target, scale, n, c)
                .output("dprediction", n * c).alias("dprediction", "prediction")
                .rounding(1, "dprediction").reference(() -> {
                    TorchOps.Result torch = TorchOps.squaredError(Floats.widen(prediction), labels(target), c, Floats.widen(Floats.filled(n * c, scale)));
                    return masked(target, Map.of("loss", torch.output(), "dprediction", torch.gradient("prediction")));
                });
        spread(op, "prediction", "dprediction", target, Float.NaN, Float.POSITIVE_INFINITY);
        table.add(op).add(new Difference(op, "loss", Floats.filled(n * c, scale), op, Map.of(), Map.of("dprediction", "prediction")));
        table.add(common(OpCase.of("mean_squared_error", "N=" + n + " C=" + c + " dprediction NULL"), "prediction", prediction, target, scale, n, c)
                .reference(() -> Map.of("loss", op.expected().get("loss"))));
    }

    private static void binary(OpTable table, int n, int c, boolean weighted, double spread) {
        String label = "N=" + n + " C=" + c + (weighted ? " weights" : "") + (spread == 1 ? "" : " wide");
        float[] logits = table.operand(Floats.normal(n + c, n * c, spread));
        float[] target = unlabelled(probabilities(n + c + 1L, n * c));
        float[] weights = weighted ? Floats.gains(n + c + 2L, c) : null;
        float scale = 1f / (n * c);
        OpCase op = binaryCase(label, logits, target, weights, scale, n, c).output("dlogits", n * c).alias("dlogits", "logits")
                .reference(() -> {
                    TorchOps.Result torch = TorchOps.binaryCrossEntropy(Floats.widen(logits), labels(target),
                            Floats.widen(weighted ? weights : Floats.filled(c, 1)), Floats.widen(Floats.filled(n * c, scale)));
                    return masked(target, Map.of("loss", torch.output(), "dlogits", torch.gradient("logits")));
                });
        spread(op, "logits", "dlogits", target, Float.NaN);
        table.add(op);
        table.add(binaryCase(label + " dlogits NULL", logits, target, weights, scale, n, c)
                .reference(() -> Map.of("loss", op.expected().get("loss"))));
        if (spread == 1) {
            table.add(new Difference(op, "loss", Floats.filled(n * c, scale), op, Map.of(), Map.of("dlogits", "logits")));
        }
        if (n * c > 20) { // no probabilities: they cannot pass unseen
            float[] wrong = target.clone();
            Map<Integer, Float> faults = Map.of(0, -1e-6f, 4, Math.nextUp(1f), 13, Float.POSITIVE_INFINITY, 18, Float.NEGATIVE_INFINITY);
            faults.forEach((i, value) -> wrong[i] = value);
            table.add(binaryCase(label + " wrong targets", logits, wrong, weights, scale, n, c).output("dlogits", n * c).alias("dlogits", "logits")
                    .reference(() -> {
                        Map<String, double[]> expected = new HashMap<>(op.expected());
                        expected.replaceAll((name, values) -> {
                            double[] copy = values.clone();
                            faults.keySet().forEach(i -> copy[i] = Double.NaN);
                            return copy;
                        });
                        return expected;
                    }));
        }
    }

    private static OpCase binaryCase(String label, float[] logits, float[] target, float[] weights, float scale, int n, int c) {
        String reason = "exp and log1p of 3 ulp, a handful of roundings";
        OpCase op = common(OpCase.of("binary_cross_entropy", label), "logits", logits, target, scale, n, c)
                .tolerance("loss", 5e-7, reason).tolerance("dlogits", 5e-7, reason);
        return weights == null ? op : op.input("class_weights", weights);
    }

    private static OpCase common(OpCase op, String input, float[] values, float[] target, float scale, int n, int c) {
        return op.output("loss", n * c).input(input, values).input("target", target).scalar("gradient_scale", scale)
                .scalar("N", n).scalar("C", c).rounding(1, "loss");
    }

    /** The first labelled element from the middle on reaches its own loss and gradient; one without label nothing. */
    private static void spread(OpCase op, String input, String gradient, float[] target, float... values) {
        for (int i = target.length / 2; i < Math.min(target.length / 2 + 3, target.length); i++) {
            int element = i;
            for (float value : values) {
                op.spread(input, i, value, Float.isNaN(target[i]) ? Map.of() : Map.of("loss", at -> at == element, gradient, at -> at == element));
            }
        }
    }

    private static float[] unlabelled(float[] target) {
        for (int i = 2; i < target.length; i += 3) {
            target[i] = Float.NaN;
        }
        return target;
    }

    private static double[] labels(float[] target) {
        return Arrays.stream(Floats.widen(target)).map(t -> Double.isNaN(t) ? 0 : t).toArray();
    }

    private static Map<String, double[]> masked(float[] target, Map<String, double[]> outputs) {
        outputs.values().forEach(values -> {
            for (int i = 0; i < values.length; i++) {
                values[i] = Float.isNaN(target[i]) ? 0 : values[i];
            }
        });
        return outputs;
    }

    /** In [0,1], some of them exactly 0 or 1. */
    private static float[] probabilities(long seed, int count) {
        float[] values = Floats.normal(seed, count);
        for (int i = 0; i < count; i++) {
            values[i] = i % 5 == 1 ? i % 2 : (float) (1 / (1 + Math.exp(-values[i])));
        }
        return values;
    }
}
