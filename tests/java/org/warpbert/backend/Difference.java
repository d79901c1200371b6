package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.Map;

/**
 * That a backward is the derivative of the same backend's forward. With L(x) = sum(upstream * output(x)), the gradient
 * g that the backward gives must satisfy L(x + hd) - L(x - hd) = 2h g·d for random directions d.
 *
 * <p>For a random d, g·d is of the size of ‖g‖: errors are measured against that. h = 5e-3 leaves central differences
 * of functions of curvature 1 a relative error of about h² = 2.5e-5, and L's own rounding, 6e-8 ‖upstream * output‖,
 * a share of 1e-5 of L / h.
 *
 * @param upstream  gradient of the output
 * @param carried   input of the backward -> output of the forward that it is
 * @param gradients output of the backward -> input of the forward whose gradient it is
 */
record Difference(OpCase forward, String output, float[] upstream, OpCase backward, Map<String, String> carried,
                  Map<String, String> gradients) {
    private static final double STEP = 5e-3;
    private static final double TOLERANCE = 1e-3;
    private static final double ROUNDING = 5e-7;
    private static final int DIRECTIONS = 3;

    void check(Backend backend) {
        Map<String, byte[]> outputs = OpRunner.run(backend, forward);
        Map<String, float[]> contents = new HashMap<>();
        carried.forEach((input, from) -> contents.put(input, OpCase.floats(outputs.get(from))));
        backward.buffers.forEach((name, buffer) -> {
            if (buffer.role() == OpCase.Role.ADDED) {
                contents.put(name, new float[buffer.initial().length / Float.BYTES]);
            }
        });
        Map<String, byte[]> results = OpRunner.run(backend, backward.with(contents));
        double rounding = ROUNDING * weighted(OpCase.floats(outputs.get(output)));
        gradients.forEach((name, input) -> {
            float[] gradient = OpCase.floats(results.get(name));
            for (int k = 0; k < DIRECTIONS; k++) {
                float[] direction = Floats.normal(97 * k + input.hashCode(), gradient.length);
                float[] high = Floats.plus(forward.floats(input), STEP, direction);
                float[] low = Floats.plus(forward.floats(input), -STEP, direction);
                double numeric = objective(backend, input, high) - objective(backend, input, low);
                double analytic = Floats.dot(gradient, Floats.plus(high, -1, low));
                double bound = TOLERANCE * 2 * STEP * Floats.norm(gradient) + rounding;
                assertTrue(Math.abs(numeric - analytic) <= bound, () -> backward + ": " + name + " says "
                        + analytic + ", differences of " + forward.op + " say " + numeric + "; off by more than " + bound);
            }
        });
    }

    private double objective(Backend backend, String input, float[] values) {
        return Floats.dot(upstream, OpCase.floats(OpRunner.run(backend, forward.with(Map.of(input, values))).get(output)));
    }

    private double weighted(float[] values) {
        double squares = 0;
        for (int i = 0; i < values.length; i++) {
            squares += Math.pow((double) values[i] * upstream[i], 2);
        }
        return Math.sqrt(squares);
    }
}
