package org.warpbert.backend;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.warpbert.backend.Philox.Draw;
import org.warpbert.reference.TorchOps;

/** Attention over packed sequences and its gradient: lengths round the tiles, masks with holes, sequences all masked. */
final class AttentionCases {
    private static final int ALL = Integer.MAX_VALUE; // queries
    private static final float UNTOUCHED = 0.5f; // what rows hold that no one asks for
    private static final Draw NONE = new Draw(0, 1, 0, 0, null);

    private AttentionCases() {}

    /**
     * @param sharpness factor of the queries: how far scores spread; {@code scale} 0 means 1 / sqrt(D)
     * @param queries   first tokens of each sequence that ask
     */
    private record Shape(int[] lengths, int a, int d, float scale, double sharpness, boolean masked, Draw draw, int queries) {
        Shape(int[] lengths, int a, int d, float scale, double sharpness, boolean masked, Draw draw) {
            this(lengths, a, d, scale, sharpness, masked, draw, ALL);
        }

        boolean[] asking() {
            boolean[] asking = new boolean[t()];
            int t = 0;
            for (int length : lengths) {
                Arrays.fill(asking, t, t + Math.min(queries, length), true);
                t += length;
            }
            return asking;
        }

        int t() {
            return Arrays.stream(lengths).sum();
        }

        float usedScale() {
            return scale == 0 ? (float) (1 / Math.sqrt(d)) : scale;
        }

        String label() {
            String sequences = lengths.length > 20 ? lengths.length + " of " + t() : Arrays.toString(lengths);
            return "lengths=" + sequences + " A=" + a + " D=" + d + (masked ? " masked" : "")
                    + " dropout=" + draw.probability() + (draw.rows() == null ? "" : " rows")
                    + (sharpness == 1 ? "" : " sharp") + (queries == ALL ? "" : " queries=" + queries) + (scale == 0 ? "" : " scale=" + scale);
        }
    }

    static void add(OpTable table) {
        Draw drop = new Draw(0.2f, 4, 99, 12, null);
        add(table, new Shape(new int[] {1}, 1, 1, 0, 1, false, NONE));
        add(table, new Shape(new int[] {1, 31, 32, 33}, 2, 32, 0, 1, false, NONE));
        add(table, new Shape(new int[] {97, 1, 64, 65}, 3, 64, 0, 1, false, NONE));
        add(table, new Shape(new int[] {17, 0, 5}, 2, 31, 0, 1, true, NONE)); // one sequence is empty
        add(table, new Shape(new int[] {33, 9, 70, 4}, 3, 33, 0, 1, true, NONE));
        add(table, new Shape(new int[] {130, 3}, 2, 97, 0, 1, false, NONE));
        add(table, new Shape(new int[] {40, 97}, 2, 32, 0.37f, 1, false, drop));
        add(table, new Shape(new int[] {7, 66, 13}, 3, 32, 0, 1, true,
                new Draw(0.1f, 7, -5, 1L << 31, IntStream.range(0, 86).map(i -> 50_000 - i).toArray())));
        add(table, new Shape(new int[] {80, 20}, 2, 64, 0, 12, false, NONE));
        add(table, new Shape(new int[] {75, 16, 1}, 2, 64, 0, 1, false, drop));
        add(table, new Shape(new int[] {1025}, 1, 32, 0, 1, false, NONE));
        add(table, new Shape(new int[] {5}, 1, 256, 0, 1, false, NONE));
        add(table, new Shape(new int[] {97, 1, 64, 0, 65}, 3, 64, 0, 1, true, drop, 1));
        add(table, new Shape(new int[] {70, 130}, 2, 32, 0, 1, false, NONE, 33));
        // heads for every multiprocessor of a GPU: their gradients take another way, and at 300 tokens a third; so does the bias's of
        // more than 256 sequences
        add(table, new Shape(new int[] {70, 3, 64, 0, 33, 32, 90, 2, 17, 65, 5, 31, 8, 1, 16, 9}, 12, 64, 0, 1, true, drop));
        add(table, new Shape(new int[] {300, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, 12, 64, 0, 1, false, drop));
        add(table, new Shape(new int[] {1, 129, 2, 7, 0, 33, 2, 4, 66, 1, 1, 1, 1, 1, 1, 1}, 12, 32, 0, 1, false, NONE));
        add(table, new Shape(new int[] {70, 3, 64, 1, 33, 1, 1, 2, 1, 1, 5, 1, 1, 1, 1, 9}, 12, 64, 0, 1, false, drop, 1));
        add(table, new Shape(IntStream.range(0, 300).map(b -> b % 4).toArray(), 1, 32, 0, 1, true, drop));
    }

    private static void add(OpTable table, Shape s) {
        int t = s.t();
        int width = s.a * s.d;
        int[] cu = new int[s.lengths.length + 1];
        for (int b = 0; b < s.lengths.length; b++) {
            cu[b + 1] = cu[b] + s.lengths[b];
        }
        float[] drawn = Floats.normal(t + 3L * width, 3 * t * width);
        for (int i = 0; i < drawn.length; i++) {
            drawn[i] *= i % (3 * width) < width ? (float) s.sharpness : 1;
        }
        float[] qkv = table.operand(drawn);
        float[] dout = table.operand(Floats.normal(t + 5L * width, t * width));
        byte[] mask = s.masked ? mask(cu) : null;
        Attention reference = new Attention(s, cu, mask, qkv);
        boolean[] asking = s.asking();
        Supplier<Map<String, double[]>> torch = once(() -> {
            float[] asked = dout.clone();
            for (int i = 0; i < asked.length; i++) {
                asked[i] = asking[i / width] ? asked[i] : 0;
            }
            Map<String, double[]> all = reference.torch(asked);
            for (int i = 0; i < asked.length; i++) {
                all.get("out")[i] = asking[i / width] ? all.get("out")[i] : UNTOUCHED;
            }
            return all;
        });
        double[] lse = reference.lse();
        for (int i = 0; i < lse.length; i++) {
            lse[i] = asking[i % t] ? lse[i] : UNTOUCHED;
        }
        OpCase forward = output(inputs(OpCase.of("attention_forward", s.label()), s, qkv, cu, mask), s, "out", t * width);
        output(forward, s, "lse", s.a * t).tolerance("out", tolerance(s), reason(s)).tolerance("lse", tolerance(s), reason(s))
                .reference(() -> Map.of("out", torch.get().get("out"), "lse", lse));
        float[] out = table.operand(RowNorm.floats(forward.expected().get("out")));
        Function<String, OpCase> gradient = label -> inputs(OpCase.of("attention_backward", s.label() + label), s, qkv, cu, mask)
                .output("dqkv", 3 * t * width).input("dout", dout).input("out", out).input("lse", RowNorm.floats(lse))
                .tolerance("dqkv", 2 * tolerance(s), reason(s) + ", on the way there and back")
                .reference(() -> Map.of("dqkv", torch.get().get("dqkv")));
        OpCase withoutBias = gradient.apply(" dbias NULL").scratch("workspace", s.a * t);
        double[] dqkv = withoutBias.expected().get("dqkv");
        OpCase backward = gradient.apply("").added("dbias", Floats.normal(t + 7L * width, 3 * width))
                .scratch("workspace", s.a * t + 3 * Backend.REDUCE_BLOCKS * width).known(Map.of("dbias", columnSums(dqkv, 3 * width)))
                .tolerance("dbias", 2 * tolerance(s) + (table.dtype == Dtype.F32 ? 6e-8 * Math.sqrt(t) : Math.scalb(1.0, -Half.of(table.dtype).digits)),
                        reason(s) + ", on the way there and back, and sqrt(T) for the sums; in 16 bits two roundings, of what they are made of")
                .cancelling(Floats.norm(RowNorm.floats(dqkv)), "dbias"); // keys' sums are 0: a bias of all keys moves no weight
        if (s.draw.probability() == 0 && t > 10 && t < 1000 && s.queries == ALL) {
            spreads(s, cu, mask, forward, backward);
        }
        table.add(forward).add(backward);
        OpCase inference = inputs(OpCase.of("attention_forward", s.label() + " lse NULL"), s, qkv, cu, mask);
        output(inference, s, "out", t * width).tolerance("out", tolerance(s), reason(s)).reference(() -> Map.of("out", torch.get().get("out")));
        table.add(inference);
        if (s.masked) {
            table.add(withoutBias);
        }
        if (s.sharpness == 1 && t < 1000 && s.queries == ALL) {
            table.add(new Difference(forward, "out", dout, backward, Map.of("out", "out", "lse", "lse"), Map.of("dqkv", "qkv")));
        }
    }

    private static double[] columnSums(double[] x, int columns) {
        double[] sums = new double[columns];
        for (int i = 0; i < x.length; i++) {
            sums[i % columns] += x[i];
        }
        return sums;
    }

    /** The same value each time, made when it is first asked for: libtorch may be absent. */
    private static <T> Supplier<T> once(Supplier<T> made) {
        List<T> value = new ArrayList<>(1);
        return () -> {
            if (value.isEmpty()) {
                value.add(made.get());
            }
            return value.get(0);
        };
    }

    /** One element of q, k, v (each in one sequence and head), and of dout. */
    private static void spreads(Shape s, int[] cu, byte[] mask, OpCase forward, OpCase backward) {
        int width = s.a * s.d;
        int token = cu[0] + 2; // in sequence 0, where mask() keeps it
        int head = s.a - 1;
        int column = head * s.d + s.d / 2;
        int end = cu[1];
        int sequence = token < end ? 0 : 1;
        int first = cu[sequence];
        int last = cu[sequence + 1];
        for (float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
            forward.spread("qkv", token * 3 * width + column, Float.NaN, Map.of(
                    "out", i -> i / width == token && i % width / s.d == head, "lse", i -> i == head * s.t() + token));
            forward.spread("qkv", token * 3 * width + 2 * width + column, value, Map.of(
                    "out", i -> i / width >= first && i / width < last && i % width == column));
            if (mask == null) { // a hidden key's gradient is 0 * dout: what that is for NaN is nobody's promise
                backward.spread("dout", token * width + column, value, Map.of(
                        "dbias", i -> i < 2 * width ? i % width / s.d == head : i % width == column, "dqkv", i -> {
                    int row = i / (3 * width);
                    int part = i % (3 * width) / width; // q, k, v
                    boolean sameSequence = row >= first && row < last;
                    boolean sameHead = i % width / s.d == head;
                    return part == 0 ? row == token && sameHead : sameSequence && (part == 1 ? sameHead : i % width == column);
                }));
            }
        }
        forward.spread("qkv", token * 3 * width + width + column, Float.NaN, Map.of(
                "out", i -> i / width >= first && i / width < last && i % width / s.d == head,
                "lse", i -> i / s.t() == head && i % s.t() >= first && i % s.t() < last));
        if (mask != null) { // what no query may look at must not show
            int hidden = IntStream.range(0, mask.length).filter(i -> mask[i] == 0).findFirst().orElseThrow();
            forward.spread("qkv", hidden * 3 * width + width + column, Float.NaN, Map.of());
            forward.spread("qkv", hidden * 3 * width + 2 * width + column, Float.POSITIVE_INFINITY, Map.of());
        }
    }

    /** What is written where all ask, and where not all do, in part. */
    private static OpCase output(OpCase c, Shape s, String name, int count) {
        return s.queries == ALL ? c.output(name, count) : c.updated(name, Floats.filled(count, UNTOUCHED));
    }

    private static double tolerance(Shape s) {
        int longest = Arrays.stream(s.lengths).max().orElse(1);
        // a score of size r is known to r * 6e-8, and so is the logarithm of its weight
        return 6e-8 * (8 + Math.sqrt(longest) + Math.sqrt(s.d) + 4 * s.sharpness);
    }

    private static String reason(Shape s) {
        return "unit roundoff 6e-8, about sqrt(L) + sqrt(D) of it for the sums, and the size of the scores for exp";
    }

    private static OpCase inputs(OpCase c, Shape s, float[] qkv, int[] cu, byte[] mask) {
        s.draw.on(c).input("qkv", qkv).input("cu_seqlens", cu).scalar("scale", s.usedScale()).scalar("T", s.t())
                .scalar("B", s.lengths.length).scalar("A", s.a).scalar("D", s.d).scalar("max_seqlen", Arrays.stream(s.lengths).max().orElse(0))
                .scalar("queries", s.queries == ALL ? Math.max(1, Arrays.stream(s.lengths).max().orElse(0)) : s.queries);
        return mask == null ? c : c.input("key_mask", mask);
    }

    /** Every third key is hidden, and the whole of the last sequence but one that is there. */
    private static byte[] mask(int[] cu) {
        byte[] mask = new byte[cu[cu.length - 1]];
        for (int b = 0; b + 1 < cu.length; b++) {
            for (int i = cu[b]; i < cu[b + 1]; i++) {
                mask[i] = (byte) ((i - cu[b]) % 3 == 1 || b == cu.length - 2 && b > 0 ? 0 : 1);
            }
        }
        return mask;
    }

    /** The reference: libtorch for sequences with something to look at, 0 (and lse -inf) for the others. */
    private record Attention(Shape s, int[] cu, byte[] mask, float[] qkv) {
        double[] lse() {
            double[] lse = new double[s.a * s.t()];
            for (int b = 0; b < s.lengths.length; b++) {
                for (int q = cu[b]; q < cu[b + 1]; q++) {
                    for (int head = 0; head < s.a; head++) {
                        lse[head * s.t() + q] = logSumExp(q, head, cu[b], cu[b + 1]);
                    }
                }
            }
            return lse;
        }

        private double logSumExp(int q, int head, int begin, int end) {
            double[] scores = IntStream.range(begin, end).filter(k -> mask == null || mask[k] != 0)
                    .mapToDouble(k -> IntStream.range(0, s.d).mapToDouble(i -> (double) at(q, 0, head, i) * at(k, 1, head, i)).sum() * s.usedScale())
                    .toArray();
            double top = Arrays.stream(scores).max().orElse(0);
            return top + Math.log(Arrays.stream(scores).map(x -> Math.exp(x - top)).sum());
        }

        private float at(int t, int part, int head, int i) {
            return qkv[((t * 3 + part) * s.a + head) * s.d + i];
        }

        /** "out" [T,A*D] and "dqkv" [T,3,A,D]. */
        Map<String, double[]> torch(float[] dout) {
            int width = s.a * s.d;
            double stretch = s.usedScale() * Math.sqrt(s.d); // torch's scale is 1 / sqrt(D)
            List<Integer> rows = new ArrayList<>();
            List<Integer> ends = new ArrayList<>(List.of(0));
            List<double[]> factors = new ArrayList<>();
            for (int b = 0; b < s.lengths.length; b++) {
                if (IntStream.range(cu[b], cu[b + 1]).anyMatch(k -> mask == null || mask[k] != 0)) {
                    IntStream.range(cu[b], cu[b + 1]).forEach(rows::add);
                    ends.add(rows.size());
                    factors.add(factors(b));
                }
            }
            double[][] parts = new double[4][rows.size() * width]; // q, k, v, dout
            boolean[] visible = new boolean[rows.size()];
            for (int r = 0; r < rows.size(); r++) {
                visible[r] = mask == null || mask[rows.get(r)] != 0;
                for (int i = 0; i < width; i++) {
                    for (int part = 0; part < 3; part++) {
                        parts[part][r * width + i] = qkv[(rows.get(r) * 3 + part) * width + i] * (part == 0 ? stretch : 1);
                    }
                    parts[3][r * width + i] = dout[rows.get(r) * width + i];
                }
            }
            TorchOps.Result result = TorchOps.attention(parts[0], parts[1], parts[2], ends.stream().mapToInt(i -> i).toArray(),
                    mask == null ? null : visible, s.a, s.draw.probability() == 0 ? null : factors.toArray(double[][]::new), parts[3]);
            double[] out = new double[s.t() * width];
            double[] dqkv = new double[3 * s.t() * width];
            for (int r = 0; r < rows.size(); r++) {
                System.arraycopy(result.output(), r * width, out, rows.get(r) * width, width);
                for (int part = 0; part < 3; part++) {
                    for (int i = 0; i < width; i++) {
                        dqkv[(rows.get(r) * 3 + part) * width + i] = result.gradient("qkv".substring(part, part + 1))[r * width + i] * (part == 0 ? stretch : 1);
                    }
                }
            }
            return new HashMap<>(Map.of("out", out, "dqkv", dqkv));
        }

        /** Dropout's multipliers [A, L, L] of a sequence's probabilities. */
        private double[] factors(int b) {
            int length = s.lengths[b];
            double[] factors = new double[s.a * length * length];
            for (int i = 0; i < factors.length; i++) {
                int head = i / (length * length);
                int query = i / length % length;
                int key = i % length;
                long block = ((s.draw.row(cu[b]) + query / 16 * 16) * s.a + head) * 131_072 + key / 16 * 32 + query % 8 * 4 + key % 8 / 2;
                factors[i] = s.draw.factor(block, query % 16 / 8 * 4 + key % 16 / 8 * 2 + key % 2);
            }
            return factors;
        }
    }
}
