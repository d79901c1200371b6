package org.warpbert.bench;

import java.util.Arrays;
import org.warpbert.model.BertConfig;

/**
 * What a batch asks of a model: real tokens and the arithmetic that they need, whatever the layout.
 *
 * @param model          as it was asked for
 * @param parameters     all weights of it
 * @param encoderWeights N: elements of the encoder's matrices, L · (4 H² + 2 H I)
 * @param lengths        where the batch's lengths come from
 * @param layout         "packed" or "padded"
 * @param sequences      B
 * @param realTokens     tokens of all sequences; rates count these
 * @param computedTokens rows that are computed: the real ones, or with padding
 * @param fill           real tokens / (B · the length that a padded batch has)
 * @param trainGflop     of a step of a classifier, forward and backward, by {@link #FORMULA}
 * @param inferGflop     of a forward: a third of that
 */
public record Work(String model, long parameters, long encoderWeights, String lengths, String layout, int sequences,
                   int realTokens, int computedTokens, double fill, double trainGflop, double inferGflop) {

    /**
     * How model FLOPs are counted (Chowdhery et al. 2022, appendix B: an encoder's matrices and attention, nothing recomputed), less
     * what a classifier has no use for.
     */
    public static final String FORMULA = "model FLOPs of training = 6 N + 12 L H s per real token (inference a third), "
            + "N = L (4 H^2 + 2 H I) encoder weights, s the length of the token's own sequence, less 6 (H^2 + 2 H I) + 12 H s for each token but a "
            + "sequence's first: of the last layer, of what its attention gives and behind it, a classifier reads no others";

    /** Of a batch of these lengths. */
    public static Work of(String model, BertConfig config, long parameters, Lengths source, boolean padded, int[] lengths) {
        long h = config.hiddenSize();
        long layers = config.numHiddenLayers();
        long weights = layers * (4 * h * h + 2 * h * config.intermediateSize());
        double flop = 0;
        for (int n : lengths) {
            flop += n * (6.0 * weights + 12.0 * layers * h * n) - (n - 1) * 12.0 * h * n;
        }
        int real = Arrays.stream(lengths).sum();
        flop -= 6.0 * (h * h + 2 * h * config.intermediateSize()) * (real - lengths.length);
        int all = lengths.length * source.paddedLength();
        return new Work(model, parameters, weights, source.name(), padded ? "padded" : "packed", lengths.length, real,
                padded ? all : real, (double) real / all, flop * 1e-9, flop * 1e-9 / 3);
    }
}
