package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.util.Map;
import java.util.Set;

/** What buffers hold after an op, held against what they should. */
final class OpComparison {
    private OpComparison() {}

    static boolean isOutput(OpCase c, String name) {
        OpCase.Role role = c.buffers.get(name).role();
        return role != OpCase.Role.INPUT && role != OpCase.Role.SCRATCH;
    }

    /** In float32. @param overwritten outputs that another one has taken the buffer of */
    static void floats(OpCase c, Map<String, byte[]> contents, Set<String> overwritten) {
        Map<String, double[]> expected = c.expected();
        contents.forEach((name, bytes) -> {
            if (!isOutput(c, name) || overwritten.contains(name)) {
                return;
            }
            assertTrue(expected.containsKey(name) && c.tolerances.containsKey(name), () -> c + " says nothing of " + name);
            OpCase.Tolerance tolerance = c.tolerances.get(name);
            if (c.buffers.get(name).kind() == OpCase.Kind.BITS16) {
                compareBits(c, name, bytes);
            } else {
                compareFloats(c, name, after(c, name), c.floats(name, bytes), c.allowed(name), tolerance.reason());
            }
        });
    }

    /**
     * Against float64 of operands that are not rounded: at most twice the error of rounding them, computing in float64 and
     * rounding the result. What only moves elements gives those results to the bit.
     */
    static void half(OpCase c, OpCase exact, Map<String, byte[]> contents, Set<String> overwritten) {
        contents.forEach((name, bytes) -> {
            if (!isOutput(c, name) || overwritten.contains(name)) {
                return;
            }
            float[] actual = c.floats(name, bytes);
            double[] rounded = after(c, name);
            for (int i = 0; i < rounded.length; i++) {
                rounded[i] = c.isHalf(name) && Double.isFinite(rounded[i]) && rounded[i] != OpCase.ANY ? Half.of(c.dtype()).round((float) rounded[i]) : rounded[i];
            }
            OpCase.Tolerance tolerance = c.tolerances.get(name);
            if (tolerance.relative() == 0) {
                compareFloats(c, name, rounded, actual, 0, tolerance.reason());
            } else {
                double unavoidable = error(c, name, after(exact, name), rounded);
                compareFloats(c, name, after(exact, name), actual, Math.max(c.allowed(name), 2 * unavoidable),
                        "twice that of a reference of this precision, " + unavoidable);
            }
        });
    }

    /** What an output must hold: what it held and the expected together where that is added. */
    private static double[] after(OpCase c, String name) {
        double[] expected = c.expected().get(name).clone();
        float[] before = c.floats(name);
        for (int i = 0; i < before.length && c.buffers.get(name).role() == OpCase.Role.ADDED; i++) {
            expected[i] += before[i];
        }
        return expected;
    }

    private static double error(OpCase c, String name, double[] expected, double[] actual) {
        double[] exact = expected.clone();
        double[] other = actual.clone();
        for (int i = 0; i < exact.length; i++) {
            if (!Double.isFinite(exact[i]) || exact[i] == OpCase.ANY) {
                exact[i] = 0;
                other[i] = 0;
            }
        }
        OpCase.Tolerance tolerance = c.tolerances.get(name);
        return tolerance.each() ? Floats.largestRelativeError(exact, other) : Floats.relativeError(exact, other, tolerance.size());
    }

    private static void compareBits(OpCase c, String name, byte[] bytes) {
        double[] expected = c.expected().get(name);
        for (int i = 0; i < expected.length; i++) {
            int bits = bytes[2 * i] & 0xff | (bytes[2 * i + 1] & 0xff) << 8;
            boolean nan = c.scalars.get("y_dtype").intValue() == Dtype.F16.ordinal() ? (bits & 0x7fff) > 0x7c00 : (bits & 0x7fff) > 0x7f80;
            int element = i;
            assertTrue(expected[i] == -1 ? nan : bits == (int) expected[i],
                    () -> c + ": " + name + "[" + element + "] is " + bits + ", not " + expected[element]);
        }
    }

    /** Elements that are expected to be NaN must be; in an output they must also have kept what they held, which is NaN. */
    private static void compareFloats(OpCase c, String name, double[] reference, float[] actual, double allowed, String reason) {
        double[] expected = reference.clone();
        assertEquals(expected.length, actual.length, () -> c + ": reference of " + name);
        double[] wide = Floats.widen(actual);
        for (int i = 0; i < expected.length; i++) {
            int element = i;
            if (expected[i] == OpCase.ANY) {
                expected[i] = 0;
                wide[i] = 0;
            } else if (!Double.isFinite(expected[i])) {
                assertEquals(0, Double.compare(expected[i], wide[i]), () -> c + ": " + name + "[" + element + "] is " + wide[element] + ", not " + expected[element]);
                expected[i] = 0;
                wide[i] = 0;
            }
            assertTrue(Double.isFinite(wide[i]), () -> c + ": " + name + "[" + element + "] is " + wide[element]);
        }
        double error = error(c, name, expected, wide);
        if (!(error <= allowed)) {
            int worst = 0;
            for (int i = 0; i < wide.length; i++) {
                worst = Math.abs(wide[i] - expected[i]) > Math.abs(wide[worst] - expected[worst]) ? i : worst;
            }
            fail(c + ": relative error of " + name + " is " + error + ", not at most " + allowed + " (" + reason
                    + "); worst is [" + worst + "], " + wide[worst] + " for " + expected[worst]);
        }
    }
}
