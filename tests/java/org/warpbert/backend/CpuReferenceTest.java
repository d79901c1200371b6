package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The reference of gpu-check is that of the tests: what the CPU gives for a case is what libtorch gives in float64. */
class CpuReferenceTest {
    /** Of 16-bit cases bfloat16's rounding of a forward's result that a backward reads; libtorch computes it anew. */
    private static final double ROUNDED_INPUT = 0x1p-7;
    private static final int LARGE = 1000; // bytes: not the cases of a row of one

    @Test
    void itAgreesWithLibtorchOnACaseOfEveryOp() {
        int compared = 0;
        for (OpTable table : List.of(OpTable.of(Dtype.F32), OpTable.of(Dtype.F16), OpTable.of(Dtype.BF16))) {
            Set<String> seen = new HashSet<>();
            for (OpCase c : table.cases) {
                boolean large = c.buffers.values().stream().anyMatch(buffer -> buffer.initial().length > LARGE);
                if (c.op.equals("cast") || !large || !seen.add(c.op)) { // cast's reference is Java's
                    continue;
                }
                Map<String, double[]> cpu = CpuReference.of(c);
                c.expected().forEach((name, expected) -> {
                    assertArrayEquals(nonFinite(expected), nonFinite(cpu.get(name)), c + ": what is not finite in " + name);
                    double error = Floats.relativeError(held(c, name, expected), held(c, name, cpu.get(name)), c.tolerances.get(name).size());
                    double allowed = table.dtype == Dtype.F32 ? c.allowed(name) : ROUNDED_INPUT;
                    assertTrue(error <= allowed, () -> c + ": " + name + " is off by " + error);
                });
                assertEquals(c.expected().keySet(), cpu.keySet(), c.toString());
                compared++;
            }
        }
        assertTrue(compared > 40, "only " + compared);
    }

    /** What the buffer holds then, of finite elements: the sum, where it is added to. */
    private static double[] held(OpCase c, String name, double[] values) {
        double[] sum = values.clone();
        float[] before = c.floats(name);
        for (int i = 0; i < sum.length && c.buffers.get(name).role() == OpCase.Role.ADDED; i++) {
            sum[i] += before[i];
        }
        return Arrays.stream(sum).map(value -> Double.isFinite(value) ? value : 0).toArray();
    }

    private static double[] nonFinite(double[] values) {
        return Arrays.stream(values).map(value -> Double.isFinite(value) ? 0 : value).toArray();
    }

    @Test
    void itStandsInForLibtorchOnlyWhereThatIsAsked() {
        NoClassDefFoundError missing = new NoClassDefFoundError("org/bytedeco/pytorch/Tensor");
        assertFalse(CpuReference.mayReplace(missing));
        System.setProperty(CpuReference.ALLOWED, "true");
        try {
            assertTrue(CpuReference.mayReplace(missing));
            assertFalse(CpuReference.mayReplace(new NoClassDefFoundError("org/warpbert/Other")));
        } finally {
            System.clearProperty(CpuReference.ALLOWED);
        }
    }
}
