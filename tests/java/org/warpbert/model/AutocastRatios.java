package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Comparator;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;

/**
 * {@link AutocastComparison}s of several draws, of weights or of texts. Through many layers a gradient's error is one draw from a
 * wide distribution, ours and autocast's alike: early roundings are carried through all that follows, in one direction. What one
 * draw's ratio says of the arithmetic is little (0.5 to 2.8 was seen in the whole); the ratios' geometric mean is what is judged.
 */
public final class AutocastRatios {
    private static final String WHOLE = "the whole gradient";

    private final Map<String, Double> logarithms = new TreeMap<>(); // summed
    private int draws;

    public void add(AutocastComparison comparison) {
        draws++;
        logarithms.merge(WHOLE, Math.log(comparison.ratio()), Double::sum);
        comparison.ratios().forEach((name, ratio) -> logarithms.merge(name, Math.log(ratio), Double::sum));
    }

    private double mean(String name) {
        return Math.exp(logarithms.get(name) / draws);
    }

    /** In the whole and in every parameter at most twice autocast's error. */
    public void assertAll() {
        assertAll(name -> true);
    }

    /** The same of those parameters that are {@code judged}. */
    public void assertAll(Predicate<String> judged) {
        logarithms.keySet().stream().filter(name -> name.equals(WHOLE) || judged.test(name))
                .forEach(name -> assertTrue(mean(name) <= 2, () -> name + " is " + mean(name) + " times as far off as autocast's; " + this));
    }

    /** The whole and the five worst parameters. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder(String.format("%d draws, geometric means: %.2f in the whole", draws, mean(WHOLE)));
        logarithms.keySet().stream().sorted(Comparator.comparingDouble(name -> -mean(name))).limit(5)
                .forEach(name -> text.append(String.format("; %.2f %s", mean(name), name)));
        return text.toString();
    }
}
