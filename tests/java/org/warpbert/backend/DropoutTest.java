package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.warpbert.backend.Philox.Draw;

/** The masks themselves: the published generator, the promised rate, and the same mask however a batch is split. */
class DropoutTest {
    static List<String> backends() {
        return TestBackends.available();
    }

    /** Known answers of Random123's kat_vectors, philox4x32 with 7 rounds. */
    @Test
    void referenceIsThePublishedGenerator() {
        assertArrayEquals(new int[] {0x5f6fb709, 0x0d893f64, 0x4f121f81, 0x4f730a48}, Philox.words(new int[4], new int[2]));
        assertArrayEquals(new int[] {0x5207ddc2, 0x45165e59, 0x4d8ee751, 0x8c52f662},
                Philox.words(new int[] {-1, -1, -1, -1}, new int[] {-1, -1}));
        assertArrayEquals(new int[] {0x4dfccaba, 0x190a87f0, 0xc47362ba, 0xb6b5242a},
                Philox.words(new int[] {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, new int[] {0xa4093822, 0x299f31d0}));
    }

    /** The first known answer through the op, number by number: it stays at p = number / 65536, the next p takes it. */
    @ParameterizedTest
    @MethodSource("backends")
    void opDrawsTheKnownNumbers(String name) {
        int[] numbers = {0xb709, 0x5f6f, 0x3f64, 0x0d89, 0x1f81, 0x4f12, 0x0a48, 0x4f73};
        try (Backend backend = Backends.open(name, 1)) {
            for (int i = 0; i < numbers.length; i++) {
                float[] kept = dropped(backend, Floats.filled(8, 1), 1, 8, new Draw(numbers[i] / 65536f, 0, 0, 0, null));
                float[] gone = dropped(backend, Floats.filled(8, 1), 1, 8, new Draw((numbers[i] + 1) / 65536f, 0, 0, 0, null));
                assertTrue(kept[i] != 0 && gone[i] == 0, "number " + i + ": " + kept[i] + " at " + numbers[i] + " 65536ths, then " + gone[i]);
            }
        }
    }

    /** Probabilities next to 0 and 1 are a 65,536th and 65,535 of them; what stays is scaled, and finite. */
    @ParameterizedTest
    @MethodSource("backends")
    void neverTakesEverything(String name) {
        int n = 1 << 18;
        try (Backend backend = Backends.open(name, 1)) {
            for (float p : new float[] {1e-9f, 1.4e-5f, 0.999999f}) {
                float[] y = dropped(backend, Floats.filled(n, 1), 1, n, new Draw(p, 1, 4, 2, null));
                long q = Math.min(65_535, Math.round(p * 65_536.0));
                long kept = IntStream.range(0, n).filter(i -> y[i] != 0).count();
                assertEquals(n * (65_536 - q) / 65_536.0, kept, 8, "p = " + p);
                IntStream.range(0, n).forEach(i -> assertTrue(y[i] == 0 || Math.abs(y[i] * (65_536 - q) / 65_536.0 - 1) < 1e-6));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void keepsItsShareAndItsSum(String name) {
        int n = 200_000;
        try (Backend backend = Backends.open(name, 2)) {
            for (float p : new float[] {0.001f, 0.1f, 0.5f, 0.9f}) {
                float[] y = dropped(backend, Floats.filled(n, 1), n / 100, 100, new Draw(p, 2, 11, 3, null));
                long kept = IntStream.range(0, n).filter(i -> y[i] != 0).count();
                assertEquals(1 - p, (double) kept / n, 4 * Math.sqrt(p * (1 - p) / n) + 0.5 / 65_536, "four standard deviations, and p's rounding");
                double scale = 65_536.0 / (65_536 - Math.round(p * 65_536));
                IntStream.range(0, n).forEach(i -> assertTrue(y[i] == 0 || Math.abs(y[i] / scale - 1) < 1e-6));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void seedsStepsAndSitesDrawMasksOfTheirOwn(String name) {
        int n = 20_000;
        float p = 0.5f;
        List<Draw> draws = List.of(new Draw(p, 0, 0, 0, null), new Draw(p, 1, 0, 0, null), new Draw(p, 0, 1, 0, null),
                new Draw(p, 0, 0, 1, null), new Draw(p, 0, 1L << 32, 0, null), new Draw(p, 1, 1, 0, null));
        try (Backend backend = Backends.open(name, 1)) {
            List<float[]> masks = new ArrayList<>();
            for (Draw draw : draws) {
                masks.add(dropped(backend, Floats.filled(n, 1), n / 20, 20, draw));
            }
            for (int i = 0; i < masks.size(); i++) {
                for (int j = 0; j < i; j++) {
                    float[] a = masks.get(i);
                    float[] b = masks.get(j);
                    double same = IntStream.range(0, n).filter(k -> a[k] == b[k]).count() / (double) n;
                    assertEquals(0.5, same, 4 * 0.5 / Math.sqrt(n), draws.get(i) + " and " + draws.get(j));
                }
            }
        }
    }

    /** For each op with dropout, rows 0-4 and 5-11 by themselves give the rows of the whole, bit for bit. */
    @ParameterizedTest
    @MethodSource("backends")
    void microBatchesDropWhatTheWholeDrops(String name) {
        int[] order = {7, 3, 11, 0, 5, 1, 2, 4, 6, 8, 9, 10}; // rows of the effective batch
        try (Backend backend = Backends.open(name, 2)) {
            for (String op : OpHeader.ops()) {
                boolean drops = OpHeader.parameters(op).stream().anyMatch(p -> p.name().equals("dropout_rows"));
                if (drops && op.endsWith("_forward")) {
                    float[] whole = rows(backend, op, order);
                    float[] first = rows(backend, op, Arrays.copyOf(order, 5));
                    float[] second = rows(backend, op, Arrays.copyOfRange(order, 5, 12));
                    assertArrayEquals(Arrays.copyOf(whole, first.length), first, op);
                    assertArrayEquals(Arrays.copyOfRange(whole, first.length, whole.length), second, op);
                }
            }
        }
    }

    /** The output of an op on the tokens that are {@code rows} of an effective batch of 12, each a sequence of its own. */
    private static float[] rows(Backend backend, String op, int[] rows) {
        int t = rows.length;
        int h = 64;
        OpCase c = new Draw(0.4f, 3, 5, 9, rows).on(OpCase.of(op, t + " rows"))
                .scalar("eps", 1e-5f).scalar("T", t).scalar("H", h).scalar("N", t).scalar("C", h);
        String output = "y";
        switch (op) {
            case "dropout_forward" -> c.input("x", select(rows, h));
            case "residual_layernorm_forward" -> c.input("x", select(rows, h)).input("gamma", Floats.gains(1, h)).input("beta", Floats.normal(2, h));
            case "embeddings_forward" -> c.output("mean", t).output("rstd", t).input("word", Floats.normal(3, 12 * h))
                    .input("position", Floats.normal(4, h)).input("segment", Floats.normal(5, h)).input("gamma", Floats.gains(1, h))
                    .input("beta", Floats.normal(2, h)).input("tokens", rows).input("positions", new int[t]).input("segments", new int[t])
                    .scalar("V", 12).scalar("P", 1).scalar("S", 1);
            case "attention_forward" -> {
                output = "out";
                c.input("qkv", select(rows, 3 * h)).input("cu_seqlens", IntStream.rangeClosed(0, t).toArray()).scalar("scale", 0.3f)
                        .scalar("B", t).scalar("A", 2).scalar("D", 32).scalar("max_seqlen", 1).scalar("queries", 1);
            }
            default -> throw new AssertionError(op + " drops out: say here how to call it");
        }
        return OpCase.floats(OpRunner.run(backend, c.output(output, t * h)).get(output));
    }

    private static float[] select(int[] rows, int columns) {
        float[] all = Floats.normal(8, 12 * columns);
        float[] selected = new float[rows.length * columns];
        for (int i = 0; i < rows.length; i++) {
            System.arraycopy(all, rows[i] * columns, selected, i * columns, columns);
        }
        return selected;
    }

    private static float[] dropped(Backend backend, float[] x, int n, int c, Draw draw) {
        OpCase op = draw.on(OpCase.of("dropout_forward", "")).output("y", n * c).input("x", x).scalar("N", n).scalar("C", c);
        Map<String, byte[]> forward = OpRunner.run(backend, op);
        OpCase back = draw.on(OpCase.of("dropout_backward", "")).output("dx", n * c).input("dy", x).scalar("N", n).scalar("C", c);
        assertArrayEquals(forward.get("y"), OpRunner.run(backend, back).get("dx"), "the backward's mask");
        return OpCase.floats(forward.get("y"));
    }
}
