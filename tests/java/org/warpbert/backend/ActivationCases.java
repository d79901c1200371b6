package org.warpbert.backend;

import java.util.HashMap;
import java.util.Map;
import org.warpbert.reference.TorchOps;

/** y = activation(x + bias), and its gradients. */
final class ActivationCases {
    private ActivationCases() {}

    static void add(OpTable table) {
        int[][] sizes = {{1, 1}, {31, 33}, {33, 32}, {32, 97}, {2, 1025}, {97, 768}, {2100, 31}};
        for (int i = 0; i < sizes.length; i++) {
            add(table, Activation.GELU, sizes[i][0], sizes[i][1], true, true);
        }
        for (Activation activation : Activation.values()) {
            add(table, activation, 33, 97, true, true);
            add(table, activation, 31, 33, false, true);
            add(table, activation, 3, 31, true, false);
        }
    }

    private static void add(OpTable table, Activation activation, int n, int c, boolean withBias, boolean withDbias) {
        String label = activation + " N=" + n + " C=" + c + (withBias ? "" : " bias NULL") + (withDbias ? "" : " dbias NULL");
        long seed = 7L * n + c;
        float[] x = table.operand(away(Floats.normal(seed, n * c, 2)));
        float[] bias = withBias ? nudges(seed + 1, c) : null;
        float[] dy = table.operand(Floats.normal(seed + 2, n * c));
        OpCase forward = shape(OpCase.of("bias_activation_forward", label), activation, n, c)
                .output("y", n * c).input("x", x).alias("y", "x")
                .tolerance("y", 1e-6, "a lone element in GELU's tail: erfc(z) has 2 z^2 of the rounding of z, 11 of it at x = -3.3")
                .reference(() -> Map.of("y", torch(activation, x, bias, c, dy).output()));
        OpCase backward = shape(OpCase.of("bias_activation_backward", label), activation, n, c)
                .output("dx", n * c).input("dy", dy).alias("dx", "dy")
                // of a slope whose terms x phi(x) and Phi(x) cancel near the minimum
                .tolerance("dx", 4e-7, "a few ulp of the slope, whose two terms are of its size")
                .rounding(n, "dbias").reference(() -> {
                    TorchOps.Result result = torch(activation, x, bias, c, dy);
                    Map<String, double[]> expected = new HashMap<>(Map.of("dx", result.gradient("x")));
                    if (withDbias) {
                        expected.put("dbias", result.gradient("bias"));
                    }
                    return expected;
                });
        if (withBias) {
            forward.input("bias", bias);
            backward.input("bias", bias);
        }
        if (withDbias) {
            backward.added("dbias", Floats.normal(seed + 3, c)).scratch("workspace", 256 * c);
        }
        if (activation != Activation.IDENTITY || withBias) { // else x stays NULL
            backward.input("x", x);
        }
        int at = n * c / 2;
        Map<String, java.util.function.IntPredicate> itself = Map.of("y", i -> i == at);
        forward.spread("x", at, Float.NaN, itself);
        if (activation != Activation.TANH) { // whose limit is 1
            forward.spread("x", at, Float.POSITIVE_INFINITY, itself);
        }
        if (withBias) {
            forward.spread("bias", c / 2, Float.NaN, Map.of("y", i -> i % c == c / 2));
        }
        for (float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
            backward.spread("dy", at, value, withDbias ? Map.of("dx", i -> i == at, "dbias", i -> i == at % c) : Map.of("dx", i -> i == at));
        }
        if (activation != Activation.IDENTITY) {
            backward.spread("x", at, Float.NaN, withDbias ? Map.of("dx", i -> i == at, "dbias", i -> i == at % c) : Map.of("dx", i -> i == at));
        }
        table.add(forward).add(backward);
        if (withDbias && n < 2000) {
            table.add(new Difference(forward, "y", dy, backward, Map.of(), withBias ? Map.of("dx", "x", "dbias", "bias") : Map.of("dx", "x")));
        }
    }

    private static OpCase shape(OpCase c, Activation activation, int n, int columns) {
        return c.scalar("activation", activation.ordinal()).scalar("N", n).scalar("C", columns);
    }

    /** Away from ReLU's kink, also after bias and steps of differences. */
    private static float[] away(float[] x) {
        for (int i = 0; i < x.length; i++) {
            x[i] += Math.copySign(0.3f, x[i]);
        }
        return x;
    }

    private static float[] nudges(long seed, int count) {
        float[] values = Floats.normal(seed, count, 0.1);
        for (int i = 0; i < count; i++) {
            values[i] = Math.max(-0.2f, Math.min(0.2f, values[i]));
        }
        return values;
    }

    private static TorchOps.Result torch(Activation activation, float[] x, float[] bias, int c, float[] upstream) {
        double[] wideBias = bias == null ? new double[c] : Floats.widen(bias);
        if (activation == Activation.IDENTITY) { // which torch has no name for: relu of what is positive
            double shift = 100;
            double[] shifted = Floats.widen(x);
            for (int i = 0; i < shifted.length; i++) {
                shifted[i] += shift;
            }
            TorchOps.Result result = TorchOps.biasActivation("relu", shifted, wideBias, Floats.widen(upstream));
            double[] output = result.output();
            for (int i = 0; i < output.length; i++) {
                output[i] -= shift;
            }
            return new TorchOps.Result(output, result.gradients());
        }
        return TorchOps.biasActivation(activation.configName(), Floats.widen(x), wideBias, Floats.widen(upstream));
    }
}
