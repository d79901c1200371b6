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

    /** Known answers of Random123's kat_vectors, philox4x32 with 10 rounds. */
    @Test
    void referenceIsThePublishedGenerator() {
        assertArrayEquals(new int[] {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}, Philox.words(new int[4], new int[2]));
        assertArrayEquals(new int[] {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                Philox.words(new int[] {-1, -1, -1, -1}, new int[] {-1, -1}));
        assertArrayEquals(new int[] {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
                Philox.words(new int[] {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, new int[] {0xa4093822, 0x299f31d0}));
    }

    /** The first known answer through the op: a word is bracketed by the two floats p next to it, 24 bits of it. */
    @ParameterizedTest
    @MethodSource("backends")
    void opDrawsTheKnownWords(String name) {
        long[] words = {0x6627e8d5L, 0xe169c58dL, 0xbc57ac4cL, 0x9b00dbd8L};
        try (Backend backend = Backends.open(name, 1)) {
            for (int i = 0; i < words.length; i++) {
                float below = (float) (words[i] / 4294967296.0);
                below = below * 4294967296.0 > words[i] ? Math.nextDown(below) : below;
                float[] kept = dropped(backend, Floats.filled(4, 1), 1, 4, new Draw(below, 0, 0, 0, null));
                float[] gone = dropped(backend, Floats.filled(4, 1), 1, 4, new Draw(Math.nextUp(below), 0, 0, 0, null));
                assertTrue(kept[i] != 0 && gone[i] == 0, "word " + i + ": " + kept[i] + " at " + below + ", then " + gone[i]);
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
                assertEquals(1 - p, (double) kept / n, 4 * Math.sqrt(p * (1 - p) / n), "four standard deviations");
                IntStream.range(0, n).forEach(i -> assertTrue(y[i] == 0 || Math.abs(y[i] * (1 - p) - 1) < 1e-6));
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
                        .scalar("B", t).scalar("A", 2).scalar("D", 32).scalar("max_seqlen", 1);
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
