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

    private double relative(ToDoubleFunction<Error> part) {
        return Math.sqrt(errors.values().stream().mapToDouble(part).sum() / errors.values().stream().mapToDouble(Error::size).sum());
    }

    /** Of autocast, in the whole. */
    private double theirs() {
        double theirs = relative(Error::theirs);
        assertTrue(theirs > (dtype == Dtype.F16 ? 1e-4 : 1e-3), "autocast computed in 16 bits: " + theirs); // in float32: some 1e-5
        return theirs;
    }

    /** In the whole: our relative error over autocast's. */
    public double ratio() {
        return relative(Error::ours) / theirs();
    }

    /**
     * The same of every parameter, where one that autocast happens to hit is allowed its error of the whole; without the keys'
     * biases, whose true gradient is 0.
     */
    public Map<String, Double> ratios() {
        double whole = theirs();
        Map<String, Double> ratios = new LinkedHashMap<>();
        errors.forEach((name, e) -> {
            if (!name.endsWith("key.bias")) {
                ratios.put(name, Math.sqrt(e.ours) / Math.max(Math.sqrt(e.theirs), whole * Math.sqrt(e.size)));
            }
        });
        return ratios;
    }

    /** In the whole at most twice autocast's error. */
    public void assertWhole() {
        assertTrue(ratio() <= 2, () -> dtype + ": the gradient is off by " + relative(Error::ours) + ", autocast's by " + theirs());
    }

    /** And in every parameter. */
    public void assertEach() {
        ratios().forEach((name, ratio) -> assertTrue(ratio <= 2, () -> dtype + ": " + name + " is " + ratio + " times as far off as autocast's"));
    }
}
