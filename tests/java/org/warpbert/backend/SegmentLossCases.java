package org.warpbert.backend;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.warpbert.reference.TorchOps;

/** Cross-entropy over the rows of segments against libtorch's, segment by segment in float64. */
final class SegmentLossCases {
    private static final int IGNORE = -100;

    private SegmentLossCases() {}

    static void add(OpTable table) {
        for (int c : new int[] {1, 2, 3}) {
            add(table, c, 1, 1);
            add(table, c, 1, 4, 4, 4, 4, 4);           // multiple choice
            add(table, c, 1, 31, 1, 33, 32, 0, 97, 2); // one of them empty
            add(table, c, 40, 768, 5, 1025);
        }
        add(table, 33, 1, 7, 513, 1);
    }

    private static void add(OpTable table, int c, double spread, int... lengths) {
        int b = lengths.length;
        int[] cu = new int[b + 1];
        for (int i = 0; i < b; i++) {
            cu[i + 1] = cu[i] + lengths[i];
        }
        int t = cu[b];
        String label = "T=" + t + " B=" + b + " C=" + c + (spread == 1 ? "" : " wide");
        float[] logits = table.operand(Floats.normal(t + c, t * c, spread));
        int[] labels = Floats.integers(t + c + 1L, b * c, 1 << 20);
        for (int i = 0; i < labels.length; i++) {
            labels[i] = i % 5 == 3 || lengths[i / c] == 0 ? IGNORE : labels[i] % lengths[i / c];
        }
        float scale = 1f / (b * c);
        OpCase op = common(label, logits, cu, labels, scale, c).output("dlogits", t * c).alias("dlogits", "logits").reference(() -> {
            TorchOps.Result torch = TorchOps.segmentCrossEntropy(Floats.widen(logits), cu, labels, IGNORE, Floats.widen(Floats.filled(b * c, scale)));
            return Map.of("loss", torch.output(), "dlogits", torch.gradient("logits"));
        });
        table.add(op);
        table.add(common(label + " dlogits NULL", logits, cu, labels, scale, c)
                .reference(() -> Map.of("loss", op.expected().get("loss"))));
        int segment = b / 2;
        int column = c - 1;
        if (labels[segment * c + column] != IGNORE && lengths[segment] > 1) {
            int row = cu[segment] + lengths[segment] / 2;
            for (float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
                op.spread("logits", row * c + column, value, Map.of("loss", i -> i == segment * c + column,
                        "dlogits", i -> i % c == column && i / c >= cu[segment] && i / c < cu[segment + 1]));
            }
        }
        if (spread == 1 && t > 1) {
            table.add(new Difference(op, "loss", Floats.filled(b * c, scale), op, Map.of(), Map.of("dlogits", "logits")));
        }
        if (b > 1) { // no row of their segments, nor ignored: they cannot pass unseen
            wrongLabels(table, op, label, logits, cu, labels, scale, c);
        }
    }

    private static void wrongLabels(OpTable table, OpCase op, String label, float[] logits, int[] cu, int[] labels, float scale, int c) {
        int[] wrong = labels.clone();
        wrong[0] = -1;
        for (int s = 0; s + 1 < cu.length; s++) {
            if (cu[s] == cu[s + 1] || s == 1) { // any number is one in an empty segment
                wrong[s * c] = cu[s + 1] - cu[s];
            }
        }
        table.add(common(label + " wrong labels", logits, cu, wrong, scale, c).output("dlogits", logits.length).alias("dlogits", "logits")
                .reference(() -> {
                    Map<String, double[]> expected = new HashMap<>();
                    op.expected().forEach((name, values) -> expected.put(name, values.clone()));
                    for (int i = 0; i < wrong.length; i++) {
                        if (wrong[i] != labels[i]) {
                            expected.get("loss")[i] = Double.NaN;
                            for (int row = cu[i / c]; row < cu[i / c + 1]; row++) {
                                expected.get("dlogits")[row * c + i % c] = Double.NaN;
                            }
                        }
                    }
                    return expected;
                }));
    }

    private static OpCase common(String label, float[] logits, int[] cu, int[] labels, float scale, int c) {
        int longest = Arrays.stream(cu).max().orElseThrow();
        return OpCase.of("segment_cross_entropy", label).output("loss", labels.length).input("logits", logits)
                .input("cu_seqlens", cu).input("labels", labels).scalar("ignore_label", IGNORE).scalar("gradient_scale", scale)
                .scalar("T", logits.length / c).scalar("B", cu.length - 1).scalar("C", c).rounding(longest, "loss")
                .tolerance("dlogits", 1e-6, "softmax: exp of a difference that is rounded to 6e-8 of the largest logit");
    }
}
