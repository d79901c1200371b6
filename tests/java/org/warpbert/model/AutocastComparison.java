package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import org.warpbert.backend.Dtype;
import org.warpbert.reference.TorchBert;

/** Gradients of a model in 16 bits, and what libtorch's autocast makes of the same, against float64. */
public final class AutocastComparison {
    private final Dtype dtype;
    private final Map<String, Error> errors = new LinkedHashMap<>();

    /** What is wrong with a gradient, squared, of its size, squared. */
    private record Error(double theirs, double ours, double size) {}

    /** Of all parameters. */
    public AutocastComparison(Dtype dtype, Parameters parameters, Gradients gradients, double scale, TorchBert exact, TorchBert autocast) {
        this.dtype = dtype;
        for (String name : parameters.shapes().keySet()) {
            errors.put(name, error(exact.gradient64(name), autocast.gradient64(name), gradients.get(name), scale));
        }
    }

    private static Error error(double[] exact, double[] theirs, float[] ours, double scale) {
        double theirError = 0;
        double ourError = 0;
        double size = 0;
        for (int i = 0; i < exact.length; i++) {
            theirError += (theirs[i] - exact[i]) * (theirs[i] - exact[i]);
            ourError += (ours[i] / scale - exact[i]) * (ours[i] / scale - exact[i]);
            size += exact[i] * exact[i];
        }
        return new Error(theirError, ourError, size);
    }

    private double sum(ToDoubleFunction<Error> part) {
        return errors.values().stream().mapToDouble(part).sum();
    }

    private double theirs() {
        return Math.sqrt(sum(Error::theirs) / sum(Error::size));
    }

    /** In the whole at most twice autocast's error. */
    public void assertWhole() {
        double ours = Math.sqrt(sum(Error::ours) / sum(Error::size));
        assertTrue(theirs() > (dtype == Dtype.F16 ? 5e-4 : 4e-3), "autocast computed in 16 bits: " + theirs());
        assertTrue(ours <= 2 * theirs(), dtype + ": the gradient is off by " + ours + ", autocast's by " + theirs());
    }

    /** In every parameter at most twice autocast's, where one that autocast happens to hit is allowed its error of the whole. */
    public void assertEach() {
        errors.forEach((name, e) -> {
            double bound = 2 * Math.max(Math.sqrt(e.theirs), theirs() * Math.sqrt(e.size));
            assertTrue(name.endsWith("key.bias") // whose true gradient is 0
                    || Math.sqrt(e.ours) <= bound, () -> dtype + ": " + name + " is off by " + Math.sqrt(e.ours) + " of " + Math.sqrt(e.size) + ", not at most " + bound);
        });
    }
}
