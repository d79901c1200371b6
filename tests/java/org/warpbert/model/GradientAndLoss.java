package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.IntStream;

/**
 * What a batch's backward left.
 *
 * @param gradient of all parameters, one behind the other
 */
public record GradientAndLoss(double[] gradient, double loss) {
    private static final double TOLERANCE = 1e-6; // of the gradient's norm, and of the loss

    public static GradientAndLoss of(Parameters parameters, Gradients gradients, double loss) {
        return new GradientAndLoss(parameters.shapes().keySet().stream().flatMapToDouble(name -> {
            float[] values = gradients.get(name);
            return IntStream.range(0, values.length).mapToDouble(i -> values[i]);
        }).toArray(), loss);
    }

    /** Fails where another's are not these, to 1e-6. */
    public void assertSame(GradientAndLoss actual) {
        double difference = 0;
        double norm = 0;
        for (int i = 0; i < gradient.length; i++) {
            difference += (actual.gradient[i] - gradient[i]) * (actual.gradient[i] - gradient[i]);
            norm += gradient[i] * gradient[i];
        }
        double error = Math.sqrt(difference / norm);
        assertTrue(error <= TOLERANCE && norm > 1e-4, "off by " + error + " of the norm " + Math.sqrt(norm));
        assertEquals(loss, actual.loss, TOLERANCE * loss, "loss");
    }
}
