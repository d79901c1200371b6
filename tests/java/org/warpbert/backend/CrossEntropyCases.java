package org.warpbert.backend;

import java.lang.reflect.Array;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.warpbert.reference.TorchLoss;
import org.warpbert.reference.TorchOps;

/** Loss by rows from the header's formula in float64; gradient from libtorch's mean loss. */
final class CrossEntropyCases {
    private static final int IGNORE = -100;
    private static final float BEHIND = 1000; // what stands behind the columns of a row: a logit that would outweigh all others

    private CrossEntropyCases() {}

    static void add(OpTable table) {
        add(table, 1, 2, 2, false, 0, 1);
        add(table, 31, 33, 33, false, 0, 1);
        add(table, 33, 32, 32, true, 0.1f, 1);
        add(table, 32, 31, 33, true, 0, 1);
        add(table, 31, 30, 48, true, 0.1f, 1); // whole vectors behind the columns, too
        add(table, 97, 97, 97, false, 0.2f, 40);
        add(table, 5, 1025, 1032, true, 0.1f, 1);
        add(table, 97, 768, 768, false, 0, 10);
        add(table, 3, 30522, 30528, false, 0.1f, 1);
        add(table, 7, 1, 1, false, 0, 1);
    }

    private static void add(OpTable table, int n, int c, int stride, boolean weighted, float smoothing, double spread) {
        String label = "N=" + n + " C=" + c + (stride == c ? "" : " stride=" + stride) + (weighted ? " weights" : "") + " smoothing=" + smoothing + (spread == 1 ? "" : " wide");
        float[] logits = table.operand(Floats.normal(n + c, n * c, spread));
        float[] rows = spaced(logits, Floats.filled(n * stride, BEHIND), n);
        int[] labels = Floats.integers(n + c + 1L, n, c);
        for (int i = 3; i < n; i += 5) {
            labels[i] = IGNORE;
        }
        float[] weights = weighted ? positive(n + c + 2L, c) : null;
        double normaliser = 0; // that the mean of torch divides by
        for (int label1 : labels) {
            normaliser += label1 == IGNORE ? 0 : weighted ? weights[label1] : 1;
        }
        float scale = (float) (1 / normaliser);
        double exactly = scale * normaliser;
        OpCase op = common(label, n, c, rows, labels, weights, smoothing, scale).output("dlogits", n * stride).alias("dlogits", "logits")
                .reference(() -> {
                    TorchOps.Result torch = TorchOps.crossEntropy(Floats.widen(logits), labels,
                            new TorchLoss(weighted ? Floats.widen(weights) : null, smoothing, IGNORE));
                    double[] gradient = torch.gradient("logits");
                    for (int i = 0; i < gradient.length; i++) {
                        gradient[i] *= exactly;
                    }
                    return new HashMap<>(Map.of("loss", losses(n, c, logits, labels, weights, smoothing), "dlogits", spaced(gradient, new double[n * stride], n)));
                });
        table.add(op);
        table.add(common(label + " dlogits NULL", n, c, rows, labels, weights, smoothing, scale)
                .reference(() -> Map.of("loss", losses(n, c, logits, labels, weights, smoothing))));
        int row = n / 2;
        if (labels[row] != IGNORE && c > 1) {
            for (float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
                op.spread("logits", row * stride + c / 2, value, Map.of("loss", i -> i == row, "dlogits", i -> i / stride == row && i % stride < c));
                if (stride > c) {
                    op.spread("logits", row * stride + c, value, Map.of("loss", i -> false, "dlogits", i -> false));
                }
            }
        }
        if (spread == 1 && c > 1) {
            table.add(new Difference(op, "loss", Floats.filled(n, scale), op, Map.of(), Map.of("dlogits", "logits")));
        }
        if (n > 3) { // neither a class nor ignored: it cannot pass unseen
            int[] wrong = labels.clone();
            wrong[1] = c;
            wrong[2] = -1;
            OpCase bad = common(label + " wrong labels", n, c, rows, wrong, weights, smoothing, scale).output("dlogits", n * stride).alias("dlogits", "logits");
            bad.reference(() -> {
                Map<String, double[]> expected = new HashMap<>(op.expected());
                expected.replaceAll((name, values) -> {
                    double[] copy = values.clone();
                    int each = copy.length / n;
                    int known = Math.min(each, c); // of a row's elements
                    Arrays.fill(copy, each, each + known, Double.NaN);
                    Arrays.fill(copy, 2 * each, 2 * each + known, Double.NaN);
                    return copy;
                });
                return expected;
            });
            table.add(bad);
        }
    }

    /** The n rows of an array at the beginnings of those of another of its type, which may be longer. */
    static <A> A spaced(A rows, A result, int n) {
        int c = Array.getLength(rows) / n;
        for (int i = 0; i < n; i++) {
            System.arraycopy(rows, i * c, result, i * (Array.getLength(result) / n), c);
        }
        return result;
    }

    private static OpCase common(String label, int n, int c, float[] logits, int[] labels, float[] weights, float smoothing, float scale) {
        OpCase op = OpCase.of("cross_entropy", label).output("loss", n).input("logits", logits).input("labels", labels)
                .scalar("smoothing", smoothing).scalar("ignore_label", IGNORE).scalar("gradient_scale", scale)
                .scalar("N", n).scalar("C", c).scalar("stride", logits.length / n).rounding(c, "loss")
                .tolerance("dlogits", 1e-6, "softmax: exp of a difference that is rounded to 6e-8 of the largest logit");
        return weights == null ? op : op.input("class_weights", weights);
    }

    private static double[] losses(int n, int c, float[] logits, int[] labels, float[] weights, double smoothing) {
        double[] loss = new double[n];
        for (int i = 0; i < n; i++) {
            double total = 0;
            double first = logits[i * c];
            for (int j = 0; j < c; j++) {
                total += Math.exp(logits[i * c + j] - first);
            }
            for (int j = 0; j < c && labels[i] != IGNORE; j++) {
                double q = (labels[i] == j ? 1 - smoothing : 0) + smoothing / c;
                loss[i] -= (weights == null ? 1 : weights[j]) * q * (logits[i * c + j] - first - Math.log(total));
            }
        }
        return loss;
    }

    private static float[] positive(long seed, int count) {
        float[] values = Floats.normal(seed, count);
        for (int i = 0; i < count; i++) {
            values[i] = 0.1f + Math.abs(values[i]);
        }
        return values;
    }
}
