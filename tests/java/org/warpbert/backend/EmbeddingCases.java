package org.warpbert.backend;

import java.util.Map;
import java.util.stream.IntStream;
import org.warpbert.backend.Philox.Draw;
import org.warpbert.reference.TorchOps;

/** y = dropout(layernorm(word + position + segment rows)), and the tables' gradients. */
final class EmbeddingCases {
    private static final float EPS = 1e-12f;
    private static final int P = 40;
    private static final int S = 2;

    private EmbeddingCases() {}

    static void add(OpTable table) {
        Draw none = new Draw(0, 0, 0, 0, null);
        add(table, 31, 33, 53, none);
        add(table, 1, 768, 1, none);
        add(table, 32, 32, 97, new Draw(0.1f, 0, 42, 3, null));
        add(table, 97, 31, 5, new Draw(0.5f, 0, 42, 4, IntStream.range(0, 97).map(i -> 7 * i + 100_000_000).toArray()));
        add(table, 97, 768, 53, new Draw(0.1f, 0, Long.MIN_VALUE, 5, null));
        add(table, 5, 1025, 53, none);
        add(table, 2100, 33, 300, new Draw(0.1f, 0, 42, 6, null));
    }

    private static void add(OpTable table, int t, int h, int v, Draw draw) {
        String label = "T=" + t + " H=" + h + " V=" + v + " dropout=" + draw.probability() + (draw.rows() == null ? "" : " rows");
        long seed = 13L * t + h;
        float[] word = Floats.normal(seed, v * h);
        float[] position = Floats.normal(seed + 1, P * h);
        float[] segment = Floats.normal(seed + 2, S * h);
        float[] gamma = Floats.gains(seed + 3, h);
        float[] beta = Floats.normal(seed + 4, h);
        float[] dy = table.operand(Floats.normal(seed + 5, t * h));
        int[] tokens = Floats.integers(seed + 6, t, v);
        int[] positions = IntStream.range(0, t).map(i -> i % P).toArray();
        int[] segments = Floats.integers(seed + 7, t, S);
        byte[] before = new byte[v]; // words that an earlier batch had
        double[] touched = new double[v];
        for (int id = 0; id < v; id += 3) {
            before[id] = 1;
            touched[id] = 1;
        }
        for (int token : tokens) {
            touched[token] = 1;
        }
        double[] factors = draw.factors(t, h);
        double[] sums = new double[t * h];
        for (int i = 0; i < sums.length; i++) {
            sums[i] = (double) word[tokens[i / h] * h + i % h] + position[positions[i / h] * h + i % h] + segment[segments[i / h] * h + i % h];
        }
        RowNorm norm = RowNorm.of(sums, h, EPS);
        java.util.function.Supplier<TorchOps.Result> torch = () -> TorchOps.embeddings(tokens, positions, segments, Floats.widen(word),
                Floats.widen(position), Floats.widen(segment), Floats.widen(gamma), Floats.widen(beta), EPS, factors, Floats.widen(dy));

        OpCase forward = inputs(OpCase.of("embeddings_forward", label), draw, t, h, v, tokens, positions, segments)
                .output("y", t * h).output("mean", t).output("rstd", t).input("word", word).input("position", position)
                .input("segment", segment).input("gamma", gamma).input("beta", beta).scalar("eps", EPS)
                .rounding(h, "y", "mean", "rstd")
                .reference(() -> Map.of("y", torch.get().output(), "mean", norm.mean(), "rstd", norm.rstd()));
        OpCase backward = inputs(OpCase.of("embeddings_backward", label), draw, t, h, v, tokens, positions, segments)
                .added("dword", Floats.normal(seed + 8, v * h)).added("dposition", Floats.normal(seed + 9, P * h))
                .added("dsegment", Floats.normal(seed + 10, S * h)).added("dgamma", Floats.normal(seed + 11, h))
                .added("dbeta", Floats.normal(seed + 12, h)).updated("touched", before).exact("touched")
                .scratch("workspace", t * h + 2 * 256 * h).input("dy", dy)
                .input("mean", RowNorm.floats(norm.mean())).input("rstd", RowNorm.floats(norm.rstd())).input("word", word)
                .input("position", position).input("segment", segment).input("gamma", gamma)
                .input("word_order", order(tokens)).input("position_order", order(positions))
                .rounding(Math.max(t, h), "dword", "dposition", "dsegment", "dgamma", "dbeta")
                .reference(() -> {
                    TorchOps.Result result = torch.get();
                    return Map.of("dword", result.gradient("word"), "dposition", result.gradient("position"),
                            "dsegment", result.gradient("segment"), "dgamma", result.gradient("gamma"), "dbeta", result.gradient("beta"),
                            "touched", touched);
                });
        if (draw.probability() == 0) {
            int at = t * h / 2;
            int row = at / h;
            for (float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
                forward.spread("word", tokens[row] * h + 1, value, Map.of("y", i -> tokens[i / h] == tokens[row],
                        "mean", i -> tokens[i] == tokens[row], "rstd", i -> tokens[i] == tokens[row]));
                backward.spread("dy", at, value, Map.of("dword", i -> i / h == tokens[row], "dposition", i -> i / h == positions[row],
                        "dsegment", i -> i / h == segments[row], "dgamma", i -> i == at % h, "dbeta", i -> i == at % h));
            }
            forward.spread("beta", 2, Float.NaN, Map.of("y", i -> i % h == 2));
        }
        table.add(forward).add(backward);
        if (t < 2000) {
            table.add(new Difference(forward, "y", dy, backward, Map.of("mean", "mean", "rstd", "rstd"),
                    Map.of("dword", "word", "dposition", "position", "dsegment", "segment", "dgamma", "gamma", "dbeta", "beta")));
        }
    }

    private static OpCase inputs(OpCase c, Draw draw, int t, int h, int v, int[] tokens, int[] positions, int[] segments) {
        return draw.on(c).input("tokens", tokens).input("positions", positions).input("segments", segments)
                .scalar("T", t).scalar("H", h).scalar("V", v).scalar("P", P).scalar("S", S);
    }

    /** The numbers 0 .. T-1, sorted stably by key. */
    private static int[] order(int[] keys) {
        return IntStream.range(0, keys.length).boxed().sorted(java.util.Comparator.comparingInt(i -> keys[i])).mapToInt(i -> i).toArray();
    }
}
