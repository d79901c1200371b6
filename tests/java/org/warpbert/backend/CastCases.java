package org.warpbert.backend;

import java.util.Map;

/** Every pair of types, bit for bit: all 65,536 values of the 16-bit ones, and floats at every edge of theirs. */
final class CastCases {
    private static final int ALL = 1 << 16;

    private CastCases() {}

    static void add(OpTable table) {
        for (int n : new int[] {1, 31, 33, 1025}) {
            float[] x = Floats.normal(n, n);
            table.add(cast("f32 to f32 n=" + n, Dtype.F32, Dtype.F32, n).input("x", x).output("y", n).alias("y", "x").exact("y")
                    .reference(() -> Map.of("y", Floats.widen(x))));
        }
        short[] all = new short[ALL];
        for (int bits = 0; bits < ALL; bits++) {
            all[bits] = (short) bits;
        }
        for (Half small : Half.values()) {
            table.add(cast(small + " to f32, all", Dtype.F32, small.dtype, ALL).input("x", all).output("y", ALL).exact("y").reference(() -> {
                double[] y = new double[ALL];
                for (int bits = 0; bits < ALL; bits++) {
                    y[bits] = small.decode(bits);
                }
                return Map.of("y", y);
            }));
            for (int n : new int[] {1, 31, 33, 60_000}) {
                float[] x = edges(small, n);
                table.add(cast("f32 to " + small + " n=" + n, small.dtype, Dtype.F32, n).input("x", x).output16("y", n).exact("y")
                        .reference(() -> Map.of("y", codes(small, x))));
            }
            Half other = Half.values()[1 - small.ordinal()];
            table.add(cast(small + " to " + other + ", all", other.dtype, small.dtype, ALL).input("x", all).output16("y", ALL).exact("y")
                    .reference(() -> {
                        float[] x = new float[ALL];
                        for (int bits = 0; bits < ALL; bits++) {
                            x[bits] = small.decode(bits);
                        }
                        return Map.of("y", codes(other, x));
                    }));
            short[] few = java.util.Arrays.copyOf(all, 97);
            table.add(cast(small + " to " + small, small.dtype, small.dtype, few.length).input("x", few).output16("y", few.length)
                    .alias("y", "x").exact("y").reference(() -> Map.of("y", java.util.stream.IntStream.range(0, few.length).asDoubleStream().toArray())));
        }
    }

    private static OpCase cast(String label, Dtype to, Dtype from, int n) {
        return OpCase.of("cast", label).scalar("y_dtype", to.ordinal()).scalar("x_dtype", from.ordinal()).scalar("n", n);
    }

    private static double[] codes(Half small, float[] x) {
        double[] codes = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            codes[i] = small.encode(x[i]);
        }
        return codes;
    }

    /** Around every value of the small type: just below and above the middle to the next, the middle, itself, and noise. */
    private static float[] edges(Half small, int n) {
        float[] x = new float[n];
        int[] noise = new java.util.SplittableRandom(n).ints(n).toArray();
        for (int i = 0; i < n; i++) {
            float a = small.decode(i * 7919 % (1 << 15));
            float b = small.decode((i * 7919 + 1) % (1 << 15));
            float middle = (float) (((double) a + b) / 2);
            x[i] = switch (i % 5) {
                case 0 -> middle;
                case 1 -> Math.nextUp(middle);
                case 2 -> Math.nextDown(middle);
                case 3 -> a;
                default -> Float.intBitsToFloat(noise[i]);
            };
            x[i] = i % 2 == 0 ? x[i] : -x[i];
        }
        return x;
    }
}
