package org.warpbert.backend;

import java.util.HashMap;
import java.util.Map;
import org.warpbert.backend.Philox.Draw;
import org.warpbert.reference.TorchOps;

/** z = dropout(x + bias) + residual, y = layernorm(z), and their gradients. */
final class LayerNormCases {
    private static final Draw NONE = new Draw(0, 5, 0, 0, null);

    private LayerNormCases() {}

    /** @param saved whether the forward keeps z, mean and rstd (training) */
    private record Shape(int t, int h, float eps, Draw draw, boolean bias, boolean residual, boolean saved) {
        String label() {
            return "T=" + t + " H=" + h + " dropout=" + draw.probability() + (draw.rows() == null ? "" : " rows")
                    + (bias ? "" : " bias NULL") + (residual ? "" : " residual NULL") + (saved ? "" : " inference");
        }
    }

    static void add(OpTable table) {
        Draw drop = new Draw(0.3f, 5, 0x123456789abcdefL, 17, null);
        int[] reversed = new int[97];
        for (int i = 0; i < reversed.length; i++) {
            reversed[i] = 1000 - 3 * i;
        }
        Draw moved = new Draw(0.1f, 200, -1, 1L << 20, reversed);
        add(table, new Shape(1, 1, 1e-5f, NONE, true, true, true));
        add(table, new Shape(31, 33, 1e-12f, NONE, true, true, true));
        add(table, new Shape(33, 31, 1e-12f, drop, true, true, true));
        add(table, new Shape(32, 32, 1e-5f, drop, false, true, true));
        add(table, new Shape(97, 97, 1e-12f, moved, true, false, true));
        add(table, new Shape(97, 768, 1e-12f, moved, true, true, true));
        add(table, new Shape(5, 1025, 1e-12f, drop, false, false, true));
        add(table, new Shape(2100, 33, 1e-12f, drop, true, true, true));
        add(table, new Shape(31, 33, 1e-12f, NONE, true, true, false));
        add(table, new Shape(33, 768, 1e-12f, drop, true, true, false));
    }

    private static void add(OpTable table, Shape s) {
        int n = s.t * s.h;
        long seed = 31L * s.t + s.h;
        float[] x = table.operand(Floats.normal(seed, n));
        float[] bias = s.bias ? Floats.normal(seed + 1, s.h) : new float[s.h];
        float[] residual = s.residual ? table.operand(Floats.normal(seed + 2, n)) : new float[n];
        float[] gamma = Floats.gains(seed + 3, s.h);
        float[] beta = Floats.normal(seed + 4, s.h);
        float[] dy = table.operand(Floats.normal(seed + 5, n));
        double[] factors = s.draw.factors(s.t, s.h);
        double[] z = sum(x, bias, factors, residual);
        if (table.dtype != Dtype.F32) {
            z = Floats.widen(table.operand(RowNorm.floats(z))); // statistics are those of the stored z
        }
        RowNorm norm = RowNorm.of(z, s.h, s.eps);

        OpCase forward = s.draw.on(OpCase.of("residual_layernorm_forward", s.label())).output("y", n).input("x", x)
                .input("gamma", gamma).input("beta", beta).scalar("eps", s.eps).scalar("T", s.t).scalar("H", s.h)
                .rounding(s.h, "y", "z", "mean", "rstd").known(s.saved ? Map.of("z", norm.input(), "mean", norm.mean(), "rstd", norm.rstd()) : Map.of())
                .reference(() -> Map.of("y", torch(s, x, bias, residual, gamma, beta, factors, dy).output()));
        if (s.bias) {
            forward.input("bias", bias);
        }
        if (s.residual) {
            forward.input("residual", residual);
        }
        if (s.saved) {
            forward.output("z", n).output("mean", s.t).output("rstd", s.t).alias("z", "x");
        } else {
            forward.alias("y", "x");
        }
        int at = n / 2;
        int row = at / s.h;
        if (s.saved && s.draw.probability() == 0 && s.h > 1) {
            for (float value : new float[] {Float.NaN, Float.NEGATIVE_INFINITY}) {
                for (String input : new String[] {"x", "residual"}) {
                    forward.spread(input, at, value, Map.of("y", i -> i / s.h == row, "z", i -> i == at, "mean", i -> i == row, "rstd", i -> i == row));
                }
            }
            forward.spread("gamma", 3, Float.NaN, Map.of("y", i -> i % s.h == 3));
        }
        table.add(forward);
        if (!s.saved) {
            return;
        }

        OpCase backward = backward(table, s, s.label(), dy, norm, gamma, seed).output("dresidual", n)
                .added("dbias", Floats.normal(seed + 6, s.h)).alias("dx", "dy").alias("dresidual", "dy")
                .reference(() -> gradients(s, torch(s, x, bias, residual, gamma, beta, factors, dy)));
        if (s.draw.probability() == 0) {
            backward.alias("dx", "dresidual");
            if (s.h > 1) {
                for (float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
                    backward.spread("dy", at, value, Map.of("dx", i -> i / s.h == row, "dresidual", i -> i / s.h == row,
                            "dbias", i -> true, "dgamma", i -> i == at % s.h, "dbeta", i -> i == at % s.h));
                }
                backward.spread("z", at, Float.NaN, Map.of("dx", i -> i / s.h == row, "dresidual", i -> i / s.h == row,
                        "dbias", i -> true, "dgamma", i -> i == at % s.h));
            }
        }
        table.add(backward);
        table.add(backward(table, s, s.label() + " dresidual NULL, dbias NULL", dy, norm, gamma, seed).alias("dx", "dy").reference(() -> {
            Map<String, double[]> all = gradients(s, torch(s, x, bias, residual, gamma, beta, factors, dy));
            all.keySet().retainAll(java.util.Set.of("dx", "dgamma", "dbeta"));
            return all;
        }));
        if (s.h > 1 && s.t < 2000) {
            Map<String, String> wanted = new HashMap<>(Map.of("dx", "x", "dgamma", "gamma", "dbeta", "beta"));
            if (s.bias) {
                wanted.put("dbias", "bias");
            }
            if (s.residual) {
                wanted.put("dresidual", "residual");
            }
            table.add(new Difference(forward, "y", dy, backward, Map.of("z", "z", "mean", "mean", "rstd", "rstd"), wanted));
        }
    }

    private static OpCase backward(OpTable table, Shape s, String label, float[] dy, RowNorm norm, float[] gamma, long seed) {
        return s.draw.on(OpCase.of("residual_layernorm_backward", label)).output("dx", s.t * s.h)
                .added("dgamma", Floats.normal(seed + 7, s.h)).added("dbeta", Floats.normal(seed + 8, s.h))
                .scratch("workspace", 3 * 256 * s.h).input("dy", dy).input("z", table.operand(RowNorm.floats(norm.input())))
                .input("mean", RowNorm.floats(norm.mean())).input("rstd", RowNorm.floats(norm.rstd()))
                .input("gamma", gamma).scalar("T", s.t).scalar("H", s.h)
                .rounding(s.h, "dx", "dresidual").rounding(s.t, "dbias", "dgamma", "dbeta")
                // of what is normalised in a row of one, nothing is left: its gradient is 0
                .cancelling(s.h > 1 ? 0 : norm.rstd()[0] * Math.abs(dy[0] * gamma[0]), "dx", "dresidual", "dbias");
    }

    private static Map<String, double[]> gradients(Shape s, TorchOps.Result result) {
        return new HashMap<>(Map.of("dx", result.gradient("x"), "dresidual", result.gradient("residual"),
                "dbias", result.gradient("bias"), "dgamma", result.gradient("gamma"), "dbeta", result.gradient("beta")));
    }

    private static double[] sum(float[] x, float[] bias, double[] factors, float[] residual) {
        double[] z = new double[x.length];
        for (int i = 0; i < z.length; i++) {
            z[i] = ((double) x[i] + bias[i % bias.length]) * (factors == null ? 1 : factors[i]) + residual[i];
        }
        return z;
    }

    private static TorchOps.Result torch(Shape s, float[] x, float[] bias, float[] residual, float[] gamma, float[] beta,
            double[] factors, float[] dy) {
        return TorchOps.biasResidualLayerNorm(Floats.widen(x), Floats.widen(bias), Floats.widen(residual),
                Floats.widen(gamma), Floats.widen(beta), s.eps, factors, Floats.widen(dy));
    }
}
