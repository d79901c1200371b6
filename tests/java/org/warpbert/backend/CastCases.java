package org.warpbert.backend;

import java.util.Map;

/** Every pair of types, bit for bit: all 65,536 values of the 16-bit ones, and floats at every edge of theirs. */
final class CastCases {
    private static final int ALL = 1 << 16;

    private CastCases() {}

    /** A 16-bit type: sign, exponent from {@code least} on, {@code digits} of mantissa. */
    private enum Small {
        F16(Dtype.F16, 10, -14, 65504), BF16(Dtype.BF16, 7, -126, 0x1.fep127);

        final Dtype dtype;
        final int digits;
        final int least;
        final double largest;

        Small(Dtype dtype, int digits, int least, double largest) {
            this.dtype = dtype;
            this.digits = digits;
            this.least = least;
            this.largest = largest;
        }

        float decode(int bits) {
            int exponent = bits >> digits & (1 << 15 - digits) - 1;
            int fraction = bits & (1 << digits) - 1;
            double magnitude = exponent == 0 ? Math.scalb((double) fraction, least - digits)
                    : Math.scalb((double) (fraction | 1 << digits), least + exponent - 1 - digits);
            if (exponent == (1 << 15 - digits) - 1) {
                magnitude = fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
            }
            return (float) (bits < 1 << 15 ? magnitude : -magnitude);
        }

        /** Nearest, ties to even; -1 for NaN, of which only that it is one is asked. */
        int encode(float x) {
            if (Float.isNaN(x)) {
                return -1;
            }
            int sign = Float.floatToRawIntBits(x) < 0 ? 1 << 15 : 0;
            int exponent = Math.max(Math.getExponent(x), least);
            double units = Math.rint(Math.scalb((double) Math.abs(x), digits - exponent)); // exact, then rounded once
            if (Math.scalb(units, exponent - digits) > largest) {
                return sign | (1 << 15 - digits) - 1 << digits;
            }
            return sign | (exponent - least) * (1 << digits) + (int) units; // a carry into the exponent is as it should be
        }
    }

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
        for (Small small : Small.values()) {
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
            Small other = Small.values()[1 - small.ordinal()];
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

    private static double[] codes(Small small, float[] x) {
        double[] codes = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            codes[i] = small.encode(x[i]);
        }
        return codes;
    }

    /** Around every value of the small type: just below and above the middle to the next, the middle, itself, and noise. */
    private static float[] edges(Small small, int n) {
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
