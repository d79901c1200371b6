package org.warpbert.backend;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What the CPU backend gives for a case, in float32: the reference where libtorch is not on the class path and its absence is
 * meant, as in {@code gpu-check}. The CPU's ops themselves are held against libtorch by {@code mvn verify}.
 */
final class CpuReference {
    /** System property: that the CPU may stand in for libtorch. Without it a test that lacks libtorch fails. */
    static final String ALLOWED = "warpbert.reference.cpu";

    private CpuReference() {}

    /** Whether this is libtorch's absence, and the CPU may take its place. */
    static boolean mayReplace(NoClassDefFoundError missing) {
        return Boolean.getBoolean(ALLOWED) && String.valueOf(missing.getMessage()).contains("pytorch");
    }

    /** Each output's values by name, as {@link OpCase#expected}. */
    static Map<String, double[]> of(OpCase c) {
        OpCase exact = c.inFloat32();
        Map<String, double[]> expected = new LinkedHashMap<>();
        try (Backend cpu = Backends.open("cpu", 0)) {
            OpRunner.run(cpu, exact).forEach((name, bytes) -> {
                if (OpComparison.isOutput(exact, name)) {
                    expected.put(name, Floats.widen(exact.floats(name, bytes)));
                }
            });
        }
        return expected;
    }
}
