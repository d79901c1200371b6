package org.warpbert.backend;

import java.util.Map;
import java.util.stream.IntStream;
import org.warpbert.backend.Philox.Draw;

/** Gathering rows, and dropout by itself. References are in plain Java: there is nothing to compute. */
final class RowCases {
    private RowCases() {}

    static void add(OpTable table) {
        for (int[] s : new int[][] {{1, 1, 1}, {3, 31, 33}, {31, 31, 32}, {32, 97, 31}, {5, 97, 768}, {33, 300, 1025}}) {
            gather(table, s[0], s[1], s[2], 0);
        }
        gather(table, 8, 31, 33, 3);
        gather(table, 40, 32, 768, 39); // more rows than there are
        gather(table, 3, 1, 1, 3);
        dropout(table, 1, 1, new Draw(0.5f, 0, 1, 1, null));
        dropout(table, 33, 97, new Draw(0, 0, 0, 0, null));
        dropout(table, 31, 33, new Draw(0.1f, 3, 7, 1, null));
        dropout(table, 32, 31, new Draw(0.9f, 3, 7, 1, IntStream.range(0, 32).map(i -> Integer.MAX_VALUE - i).toArray()));
        dropout(table, 97, 768, new Draw(0.1f, -1, -7, -1, null));
        dropout(table, 3, 1025, new Draw(0.3f, 1 << 30, Long.MAX_VALUE, 0xffffffffL, new int[] {9, 0, 1 << 30}));
    }

    /** @param none rows at the end that are none: -1 */
    private static void gather(OpTable table, int n, int t, int h, int none) {
        String label = "N=" + n + " T=" + t + " H=" + h + (none == 0 ? "" : " none=" + none);
        float[] x = table.operand(Floats.normal(n + h, t * h));
        float[] dy = table.operand(Floats.normal(n + h + 1, n * h));
        int[] rows = IntStream.range(0, n).map(i -> i < n - none ? (i * 7 + 3) % t : -1).toArray(); // distinct: 7 divides no t
        OpCase forward = OpCase.of("gather_rows_forward", label).output("y", n * h).input("x", x).input("rows", rows)
                .scalar("N", n).scalar("T", t).scalar("H", h).exact("y").reference(() -> {
                    double[] y = new double[n * h];
                    for (int i = 0; i < y.length; i++) {
                        y[i] = rows[i / h] < 0 ? 0 : x[rows[i / h] * h + i % h];
                    }
                    return Map.of("y", y);
                });
        OpCase backward = OpCase.of("gather_rows_backward", label).output("dx", t * h).input("dy", dy).input("rows", rows)
                .scalar("N", n).scalar("T", t).scalar("H", h).exact("dx").reference(() -> {
                    double[] dx = new double[t * h];
                    for (int i = 0; i < (n - none) * h; i++) {
                        dx[rows[i / h] * h + i % h] = dy[i];
                    }
                    return Map.of("dx", dx);
                });
        int last = n - none - 1;
        if (last >= 0) {
            forward.spread("x", rows[last] * h, Float.NaN, Map.of("y", i -> i == last * h));
            backward.spread("dy", last * h, Float.NEGATIVE_INFINITY, Map.of("dx", i -> i == rows[last] * h));
        }
        if (none > 0) { // whatever stands there has gone nowhere
            backward.spread("dy", n * h - 1, Float.NaN, Map.of());
        }
        table.add(forward).add(backward).add(new Difference(forward, "y", dy, backward, Map.of(), Map.of("dx", "x")));
    }

    private static void dropout(OpTable table, int n, int c, Draw draw) {
        String label = "N=" + n + " C=" + c + " dropout=" + draw.probability() + (draw.rows() == null ? "" : " rows");
        float[] x = table.operand(Floats.normal(n + c, n * c));
        float[] dy = table.operand(Floats.normal(n + c + 1, n * c));
        double[] factors = draw.factors(n, c);
        OpCase forward = dropout("dropout_forward", label, "y", "x", x, n, c, draw, factors);
        OpCase backward = dropout("dropout_backward", label, "dx", "dy", dy, n, c, draw, factors);
        int kept = IntStream.range(0, n * c).filter(i -> factors == null || factors[i] != 0).findFirst().orElse(-1);
        int gone = IntStream.range(0, n * c).filter(i -> factors != null && factors[i] == 0).findFirst().orElse(-1);
        if (kept >= 0) {
            forward.spread("x", kept, Float.NaN, Map.of("y", i -> i == kept));
            backward.spread("dy", kept, Float.POSITIVE_INFINITY, Map.of("dx", i -> i == kept));
        }
        if (gone >= 0) { // what is dropped is gone
            forward.spread("x", gone, Float.NaN, Map.of());
        }
        table.add(forward).add(backward).add(new Difference(forward, "y", dy, backward, Map.of(), Map.of("dx", "x")));
    }

    private static OpCase dropout(String op, String label, String out, String in, float[] values, int n, int c, Draw draw, double[] factors) {
        return draw.on(OpCase.of(op, label)).output(out, n * c).input(in, values).scalar("N", n).scalar("C", c)
                .alias(out, in).tolerance(out, 2e-7, "a rounded factor and a rounded product").reference(() -> {
                    double[] kept = Floats.widen(values);
                    for (int i = 0; i < kept.length && factors != null; i++) {
                        kept[i] *= factors[i];
                    }
                    return Map.of(out, kept);
                });
    }
}
