package org.warpbert.backend;

import java.util.Arrays;
import java.util.Map;
import org.warpbert.reference.TorchOps;

/** The gradient's norm, and AdamW by segments; with rows that no gradient has touched, of which these must read and write nothing. */
final class OptimizerCases {
    private OptimizerCases() {}

    /** The first rows of the buffers, of which some were touched; 0 of them: there is no such table. */
    private record Table(int rows, int width) {
        static final Table NONE = new Table(0, 1);

        boolean touched(int row) {
            return row * 7 % 5 < 2 || row % 11 > 8; // runs of several lengths
        }

        /** Whether an element is of a row that was not touched. */
        boolean idle(int element) {
            return element < rows * width && !touched(element / width);
        }

        /** The same values but for idle elements. */
        float[] with(float ofIdle, float[] values) {
            float[] copy = values.clone();
            for (int i = 0; i < copy.length; i++) {
                copy[i] = idle(i) ? ofIdle : copy[i];
            }
            return copy;
        }

        OpCase on(OpCase op) {
            byte[] bytes = new byte[rows];
            for (int row = 0; row < rows; row++) {
                bytes[row] = (byte) (touched(row) ? 1 : 0);
            }
            return (rows == 0 ? op : op.input("touched", bytes)).scalar("R", rows).scalar("width", width);
        }
    }

    static void add(OpTable table) {
        touchedRows(table);
        for (int n : new int[] {1, 31, 32, 33, 97, 768, 1025, 100_003}) {
            norm(table, "n=" + n, Floats.normal(n, n), Table.NONE, 0, 1);
        }
        norm(table, "n=1025, not clipped", Floats.normal(1, 1025, 1e-3), Table.NONE, 0, 1);
        norm(table, "n=1025, max_norm 0", Floats.normal(1, 1025), Table.NONE, 0, 0);
        norm(table, "n=1025, loss scale 1024", Floats.normal(1, 1025, 1000), Table.NONE, 1024, 0.5f);
        norm(table, "squares beyond float32", Floats.normal(1, 1025, 1e30), Table.NONE, 0, 1);
        norm(table, "squares below float32", Floats.normal(1, 1025, 1e-30), Table.NONE, 0, 1);
        norm(table, "n=0", new float[0], Table.NONE, 0, 1);
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            for (int at : new int[] {0, 40_000, 100_002}) {
                float[] gradient = Floats.normal(3, 100_003);
                gradient[at] = bad;
                table.add(stats("n=100003, " + bad + " at " + at, gradient, Table.NONE, 0, 1).reference(() -> Map.of("stats", new double[] {Math.abs(bad), OpCase.ANY, 0})));
            }
        }
        adamw(table, "n=1", Table.NONE, new long[] {1}, new float[] {0.1f}, new float[] {1}, 1, 0.5f, true);
        adamw(table, "n=97 K=4", Table.NONE, new long[] {31, 32, 64, 97}, new float[] {0.01f, 0, 0.5f, 0}, new float[] {1, 0.1f, 1, 2}, 3, 0.25f, false);
        adamw(table, "n=1025, frozen segments", Table.NONE, new long[] {100, 101, 1000, 1025}, new float[] {0.01f, 0, 0.5f, 0}, new float[] {0, 1, 0, 1}, 7, 1, true);
        adamw(table, "n=50000 K=3", Table.NONE, new long[] {16_000, 16_384, 50_000}, new float[] {0.01f, 0, 0.01f}, new float[] {1, 1, 1}, 1000, 1, true);
        adamw(table, "an empty segment", Table.NONE, new long[] {33, 33, 64}, new float[] {0.01f, 0, 0.01f}, new float[] {1, 1, 1}, 2, 1, false);
        adamw(table, "skipped", Table.NONE, new long[] {768}, new float[] {0.01f}, new float[] {1}, 2, Float.NaN, true);
    }

    private static void touchedRows(OpTable table) {
        for (int[] s : new int[][] {{1, 1}, {33, 31}, {97, 768}, {300, 33}, {5, 1025}, {64, 4}}) {
            zeroRows(table, new Table(s[0], s[1]));
        }
        for (int[] s : new int[][] {{1, 1, 1}, {7, 3, 40}, {33, 31, 1025}, {130, 768, 100_003}, {2000, 36, 72_001}, {41, 97, 41 * 97}, {300, 1, 301}}) {
            norm(table, s[0] + " rows of " + s[1] + " in " + s[2], Floats.normal(s[2], s[2]), new Table(s[0], s[1]), 0, 1);
        }
        norm(table, "50 rows of 12 in 601, loss scale 1024", Floats.normal(1, 601, 1000), new Table(50, 12), 1024, 0.5f);
        adamw(table, "1 row", new Table(1, 1), new long[] {1}, new float[] {0.1f}, new float[] {1}, 1, 0.5f, true);
        adamw(table, "7 rows of 3", new Table(7, 3), new long[] {10, 31, 40}, new float[] {0.1f, 0, 0.1f}, new float[] {1, 0.5f, 0}, 3, 0.5f, false);
        adamw(table, "33 rows of 31", new Table(33, 31), new long[] {100, 333, 900, 1025}, new float[] {0.01f, 0, 0.5f, 0}, new float[] {1, 0.1f, 0, 2}, 3, 0.25f, true);
        adamw(table, "130 rows of 768", new Table(130, 768), new long[] {50_001, 99_840, 100_003}, new float[] {0.01f, 0, 0.01f}, new float[] {1, 1, 1}, 9, 1, true);
        adamw(table, "2000 rows of 36", new Table(2000, 36), new long[] {72_001}, new float[] {0.01f}, new float[] {1}, 9, 1, true);
        adamw(table, "41 rows of 97, no decay", new Table(41, 97), new long[] {41 * 97}, new float[] {0}, new float[] {1}, 9, 1, true);
        adamw(table, "24 rows of 32, skipped", new Table(24, 32), new long[] {768}, new float[] {0.01f}, new float[] {1}, 2, Float.NaN, true);
    }

    private static void zeroRows(OpTable table, Table rows) {
        float[] x = rows.with(Float.NaN, Floats.normal(7, rows.rows * rows.width));
        table.add(rows.on(OpCase.of("zero_rows", "R=" + rows.rows + " width=" + rows.width).updated("x", x)).exact("x")
                .reference(() -> Map.of("x", Floats.widen(rows.with(Float.NaN, new float[x.length])))));
    }

    private static OpCase stats(String label, float[] gradient, Table rows, float lossScale, float maxNorm) {
        OpCase op = rows.on(OpCase.of("gradient_norm", label)).output("stats", 3).scratch("workspace", 2 * 256)
                .input("gradient", rows.with(Float.NaN, gradient)).scalar("max_norm", maxNorm).scalar("n", gradient.length)
                .toleranceOfEach("stats", 3e-7, "three roundings: the sum is in more than float32");
        return lossScale == 0 ? op : op.input("loss_scale", lossScale);
    }

    private static void norm(OpTable table, String label, float[] gradient, Table rows, float lossScale, float maxNorm) {
        double scale = lossScale == 0 ? 1 : lossScale;
        table.add(stats(label, gradient, rows, lossScale, maxNorm).reference(() -> {
            double[] scaled = Floats.widen(rows.with(0, gradient));
            for (int i = 0; i < scaled.length; i++) {
                scaled[i] /= scale;
            }
            double norm = gradient.length == 0 ? 0 : TorchOps.clip(scaled, maxNorm).output()[0];
            double clip = maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1;
            return Map.of("stats", new double[] {norm, clip / scale, 1});
        }));
    }

    /** @param factor stats[1], or NaN for a step that must be skipped */
    private static void adamw(OpTable table, String label, Table rows, long[] ends, float[] decay, float[] lrScale, int step, float factor, boolean copied) {
        int n = (int) ends[ends.length - 1];
        boolean skipped = Float.isNaN(factor);
        float lr = 1e-2f;
        float beta1 = 0.9f;
        float beta2 = 0.999f;
        float eps = 1e-8f;
        float[] parameter = Floats.normal(n, n);
        float[] m = Floats.normal(n + 1, n, 0.1);
        float[] v = Floats.normal(n + 2, n, 0.1);
        for (int i = 0; i < n; i++) {
            v[i] *= v[i];
        }
        float[] gradient = Floats.normal(n + 3, n);
        float c1 = (float) (1 - Math.pow(beta1, step));
        float c2 = (float) (1 - Math.pow(beta2, step));
        OpCase op = rows.on(OpCase.of("adamw", label)).scalar("copy_dtype", Dtype.F32.ordinal()).scalar("moment_dtype", Dtype.F32.ordinal())
                .updated("parameter", parameter).updated("m", rows.with(Float.NaN, m)).updated("v", rows.with(Float.NaN, v))
                .input("gradient", rows.with(Float.NaN, gradient)).input("stats", 3, skipped ? 1 : factor, skipped ? 0 : 1)
                .input("hyper", lr, c1, c2).input("ends", ends).input("decay", decay).input("lr_scale", lrScale)
                .scalar("beta1", beta1).scalar("beta2", beta2).scalar("eps", eps).scalar("n", n).scalar("K", ends.length);
        for (String updated : new String[] {"parameter", "m", "v", "parameter_copy"}) {
            op.tolerance(updated, 3e-7, "a handful of roundings");
        }
        if (copied) {
            op.output("parameter_copy", n).input("rng", 42L, step, 0L); // float32 moments do not ask for it
        }
        int at = n / 2;
        if (!skipped && lrScale[0] != 0 && rows == Table.NONE) {
            Map<String, java.util.function.IntPredicate> itself = copied
                    ? Map.of("parameter", i -> i == at, "m", i -> i == at, "v", i -> i == at, "parameter_copy", i -> i == at)
                    : Map.of("parameter", i -> i == at, "m", i -> i == at, "v", i -> i == at);
            op.spread("gradient", at, Float.NaN, itself);
        }
        table.add(op.reference(() -> {
            double[][] state = {Floats.widen(parameter), Floats.widen(rows.with(0, m)), Floats.widen(rows.with(0, v)), new double[n]};
            Arrays.fill(state[3], Double.NaN); // the copy keeps what it held where nothing may be written
            int begin = 0;
            for (int k = 0; k < ends.length; begin = (int) ends[k++]) {
                int end = (int) ends[k];
                if (skipped || lrScale[k] == 0 || begin == end) {
                    continue;
                }
                double[] g = Floats.widen(Arrays.copyOfRange(rows.with(0, gradient), begin, end));
                for (int i = 0; i < g.length; i++) {
                    g[i] *= factor;
                }
                TorchOps.AdamWResult result = TorchOps.adamW(Arrays.copyOfRange(state[0], begin, end), g, Arrays.copyOfRange(state[1], begin, end),
                        Arrays.copyOfRange(state[2], begin, end), step, (double) lr * lrScale[k], beta1, beta2, eps, decay[k]);
                System.arraycopy(result.parameter(), 0, state[0], begin, end - begin);
                System.arraycopy(result.firstMoment(), 0, state[1], begin, end - begin);
                System.arraycopy(result.secondMoment(), 0, state[2], begin, end - begin);
                System.arraycopy(result.parameter(), 0, state[3], begin, end - begin);
                for (int i = begin; i < end; i++) {
                    state[3][i] = rows.idle(i) && decay[k] == 0 ? Double.NaN : state[3][i]; // nothing changes, nothing is written
                }
            }
            for (int i = 0; i < n; i++) {
                state[1][i] = rows.idle(i) ? Double.NaN : state[1][i]; // as it was
                state[2][i] = rows.idle(i) ? Double.NaN : state[2][i];
            }
            Map<String, double[]> expected = new java.util.HashMap<>(Map.of("parameter", state[0], "m", state[1], "v", state[2]));
            if (copied) {
                expected.put("parameter_copy", state[3]);
            }
            return expected;
        }));
    }
}
