package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** AdamW with moments in bfloat16, which are rounded by chance: to the draw that the header names, fairly, and so that v moves on. */
class MomentRoundingTest {
    private static final float BETA1 = 0.9f;
    private static final float BETA2 = 0.999f;
    private static final float EPS = 1e-8f;
    private static final float LR = 1e-2f;
    private static final float C1 = 0.19f;
    private static final float C2 = 0.002f;
    private static final long SEED = 0x123456789abL;
    private static final int STEP = 7;
    private static final long FIRST = (3L << 34) + 48; // number of the first element

    static List<String> backends() {
        return TestBackends.available();
    }

    private record State(float[] p, float[] m, float[] v) {}

    /** One step; segment k ends at ends[k], without decay; scale 0 is frozen. */
    private static State step(Backend backend, State s, float[] gradient, long[] ends, float[] scale, int step) {
        int n = s.p.length;
        OpCase op = OpCase.of("adamw", "").scalar("copy_dtype", Dtype.F32.ordinal()).scalar("moment_dtype", Dtype.BF16.ordinal())
                .updated("parameter", s.p).updated16("m", Half.BF16.bytes(s.m)).updated16("v", Half.BF16.bytes(s.v)).input("gradient", gradient)
                .input("stats", 1f, 1f, 1f).input("hyper", LR, C1, C2).input("rng", SEED, step, FIRST).input("ends", ends)
                .input("decay", new float[ends.length]).input("lr_scale", scale).scalar("beta1", BETA1).scalar("beta2", BETA2)
                .scalar("eps", EPS).scalar("n", n).scalar("K", ends.length).scalar("R", 0).scalar("width", 1);
        Map<String, byte[]> after = OpRunner.run(backend, op);
        return new State(OpCase.floats(after.get("parameter")), Half.BF16.floats(after.get("m")), Half.BF16.floats(after.get("v")));
    }

    /** The upper half of a float's bits after 16 random ones were added, as the header says. */
    private static float rounded(double x, int random16) {
        return Float.intBitsToFloat(Float.floatToRawIntBits((float) x) + random16 & 0xffff0000);
    }

    private static int word(int element) {
        long block = (FIRST + element) / 4;
        return Philox.words(new int[] {(int) block, (int) (block >>> 32), STEP, -1}, new int[] {(int) SEED, (int) (SEED >>> 32)})[element % 4];
    }

    @ParameterizedTest
    @MethodSource("backends")
    void drawsAreThoseOfTheHeader(String name) {
        int n = 20_003;
        long[] ends = {1, 1_001, 5_000, 16_390, n};
        float[] scale = {1, 0.5f, 0, 2, 1};
        State before = new State(Floats.normal(1, n), Half.BF16.round(Floats.normal(2, n, 0.1)), Half.BF16.round(squares(Floats.normal(3, n, 0.1))));
        float[] gradient = Floats.normal(4, n);
        State after;
        try (Backend backend = Backends.open(name, 2)) {
            after = step(backend, before, gradient, ends, scale, STEP);
        }
        int split = 0;
        for (int i = 0, k = 0; i < n; i++) {
            k += ends[k] <= i ? 1 : 0;
            if (scale[k] == 0) {
                assertEquals(List.of(before.p[i], before.m[i], before.v[i]), List.of(after.p[i], after.m[i], after.v[i]), "frozen: " + i);
                continue;
            }
            double m = before.m[i] + (1.0 - BETA1) * ((double) gradient[i] - before.m[i]);
            double v = (double) BETA2 * before.v[i] + (1.0 - BETA2) * gradient[i] * gradient[i];
            int word = word(i);
            // float32's own roundings: an m near 0 has those of its terms
            split += check("m of " + i, after.m[i], m, 2e-7 * (Math.abs(before.m[i]) + Math.abs(gradient[i])), word & 0xffff);
            split += check("v of " + i, after.v[i], v, 3e-7 * v, word >>> 16);
            double p = before.p[i] - (double) LR * scale[k] * (m / C1) / (Math.sqrt(v / C2) + EPS);
            assertEquals(p, after.p[i], 1e-6 * (1 + Math.abs(p)), "of moments as they were before they were rounded: " + i);
        }
        assertTrue(split < n / 50, "only where a draw falls between two roundings of float32: " + split);
    }

    /** Rounding is monotone: what becomes of a value that is known to {@code off} lies between what becomes of its bounds. */
    private static int check(String what, float actual, double value, double off, int random16) {
        float least = rounded(value - off, random16);
        float most = rounded(value + off, random16);
        assertTrue(least <= actual && actual <= most, () -> what + " is " + actual + ", not from " + least + " to " + most);
        return least == most ? 0 : 1;
    }

    private static float[] squares(float[] x) {
        for (int i = 0; i < x.length; i++) {
            x[i] *= x[i];
        }
        return x;
    }

    /** What a moment of 1 + 1/512, a quarter of a step above 1, becomes: three times in four 1, else the next, 1 + 1/128. */
    @ParameterizedTest
    @MethodSource("backends")
    void roundsFairly(String name) {
        int n = 100_000;
        float want = 1 + 1 / 512f;
        float old = 1.0078125f;
        State before = new State(new float[n], Floats.filled(n, old), Floats.filled(n, old));
        float gradient = (want - BETA1 * old) / (1 - BETA1); // so that m becomes what is wanted
        try (Backend backend = Backends.open(name, 2)) {
            State after = step(backend, before, Floats.filled(n, gradient), new long[] {n}, new float[] {1}, STEP);
            double up = 0;
            for (float m : after.m) {
                assertTrue(m == 1 || m == old, "neighbours only: " + m);
                up += m == old ? 1 : 0;
            }
            assertEquals(0.25, up / n, 4 * Math.sqrt(0.25 * 0.75 / n), "four standard deviations");
        }
    }

    /** 300 steps of gradient 1 from v = 0.5: to nearest, every one would be rounded away. */
    @ParameterizedTest
    @MethodSource("backends")
    void theSecondMomentMovesOn(String name) {
        int n = 2_000;
        State state = new State(new float[n], new float[n], Floats.filled(n, 0.5f));
        try (Backend backend = Backends.open(name, 1)) {
            for (int step = 1; step <= 300; step++) {
                state = step(backend, state, Floats.filled(n, 1), new long[] {n}, new float[] {1}, step);
            }
        }
        double mean = 0;
        for (float v : state.v) {
            mean += v / n;
        }
        assertEquals(0.5f, Half.BF16.round(BETA2 * 0.5f + (1 - BETA2)), "to nearest it stands still");
        assertEquals(1 - 0.5 * Math.pow(BETA2, 300), mean, 0.002);
    }
}
