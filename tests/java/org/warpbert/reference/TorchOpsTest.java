package org.warpbert.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Every autograd gradient of {@link TorchOps} against central finite differences of the op's own output. */
class TorchOpsTest {
    private static final double EPS = 1e-12;
    private static final int H = 6;
    private static final int[] CU = {0, 3, 4, 9};

    /** One op: the names of its inputs, their values, and the op as a function of them. */
    private record Case(String name, List<String> inputs, double[][] values, int outputs,
                        Function<double[][], Function<double[], TorchOps.Result>> op) {}

    private static final SplittableRandom RANDOM = new SplittableRandom(7);

    private static double[] normal(int n) {
        return IntStream.range(0, n).mapToDouble(i -> RANDOM.nextGaussian()).toArray();
    }

    /** 0 or 1/(1-p) with p a quarter. */
    private static double[] dropout(int n) {
        return IntStream.range(0, n).mapToDouble(i -> RANDOM.nextDouble() < 0.25 ? 0 : 4.0 / 3).toArray();
    }

    private static double[][] arrays(double[]... values) {
        return values;
    }

    private static Stream<Case> cases() {
        int[] tokens = {4, 1, 4, 0, 2};
        double[] rowDropout = dropout(5 * H);
        boolean[] keys = {true, true, false, true, false, true, true, false, true};
        double[][] attentionDropout = {dropout(2 * 9), dropout(2), dropout(2 * 25)};
        TorchLoss weighted = new TorchLoss(new double[] {0.5, 2, 1, 0.1}, 0.1, -100);
        int[] labels = {0, 3, -100, 1, 1};
        double[] scores = normal(12);
        double[] yes = {0, 1, 0.5, 0.25, 1, 1, 0, 0, 0.75, 0.1, 0.9, 1};
        List<String> lnInputs = List.of("x", "bias", "residual", "gamma", "beta");
        double[][] ln = arrays(normal(5 * H), normal(H), normal(5 * H), normal(H), normal(H));
        double[][] qkv = arrays(normal(9 * H), normal(9 * H), normal(9 * H));
        return Stream.concat(
            Stream.of("gelu", "gelu_new", "relu", "tanh").map(activation -> new Case(activation, List.of("x", "bias"),
                    arrays(normal(3 * 7), normal(7)), 21, in -> up -> TorchOps.biasActivation(activation, in[0], in[1], up))),
            Stream.of(
                new Case("embeddings", List.of("word", "position", "segment", "gamma", "beta"),
                        arrays(normal(5 * H), normal(5 * H), normal(2 * H), normal(H), normal(H)), 5 * H,
                        in -> up -> TorchOps.embeddings(tokens, new int[] {0, 1, 0, 1, 2}, new int[] {0, 0, 0, 1, 1},
                                in[0], in[1], in[2], in[3], in[4], EPS, rowDropout, up)),
                new Case("biasResidualLayerNorm", lnInputs, ln, 5 * H,
                        in -> up -> TorchOps.biasResidualLayerNorm(in[0], in[1], in[2], in[3], in[4], EPS, null, up)),
                new Case("biasResidualLayerNorm with dropout", lnInputs, ln, 5 * H,
                        in -> up -> TorchOps.biasResidualLayerNorm(in[0], in[1], in[2], in[3], in[4], EPS, rowDropout, up)),
                new Case("attention", List.of("q", "k", "v"), qkv, 9 * H,
                        in -> up -> TorchOps.attention(in[0], in[1], in[2], CU, null, 2, null, up)),
                new Case("attention with mask and dropout", List.of("q", "k", "v"), qkv, 9 * H,
                        in -> up -> TorchOps.attention(in[0], in[1], in[2], CU, keys, 2, attentionDropout, up)),
                new Case("gatherRows", List.of("x"), arrays(normal(4 * H)), 3 * H,
                        in -> up -> TorchOps.gatherRows(in[0], H, new int[] {3, 0, 3}, up)),
                new Case("crossEntropy", List.of("logits"), arrays(normal(5 * 4)), 1,
                        in -> up -> TorchOps.crossEntropy(in[0], labels, TorchLoss.MEAN)),
                new Case("crossEntropy with weights and smoothing", List.of("logits"), arrays(normal(5 * 4)), 1,
                        in -> up -> TorchOps.crossEntropy(in[0], labels, weighted)),
                new Case("squaredError", List.of("prediction"), arrays(normal(3 * 4)), 12,
                        in -> up -> TorchOps.squaredError(in[0], scores, 4, up)),
                new Case("binaryCrossEntropy", List.of("logits"), arrays(normal(3 * 4)), 12,
                        in -> up -> TorchOps.binaryCrossEntropy(in[0], yes, weighted.classWeights(), up)),
                new Case("segmentCrossEntropy", List.of("logits"), arrays(normal(9 * 2)), 8,
                        in -> up -> TorchOps.segmentCrossEntropy(in[0], new int[] {0, 3, 4, 4, 9}, new int[] {2, 0, 0, -100, -100, -100, 1, 4}, -100, up))));
    }

    @TestFactory
    Stream<DynamicTest> gradientsAgreeWithFiniteDifferences() {
        return cases().map(c -> DynamicTest.dynamicTest(c.name, () -> {
            double[] upstream = c.outputs == 1 ? new double[] {1} : normal(c.outputs);
            TorchOps.Result result = c.op.apply(c.values).apply(upstream);
            assertEquals(c.outputs, result.output().length);
            for (int i = 0; i < c.values.length; i++) {
                double[] gradient = result.gradient(c.inputs.get(i));
                for (int j = 0; j < gradient.length; j++) {
                    double numeric = (objective(c, i, j, 1e-5, upstream) - objective(c, i, j, -1e-5, upstream)) / 2e-5;
                    assertEquals(numeric, gradient[j], 1e-7 * Math.max(1, Math.abs(numeric)), c.inputs.get(i) + "[" + j + "]");
                }
            }
        }));
    }

    private static double objective(Case c, int input, int element, double delta, double[] upstream) {
        double[][] moved = Arrays.stream(c.values).map(double[]::clone).toArray(double[][]::new);
        moved[input][element] += delta;
        double[] output = c.op.apply(moved).apply(upstream).output();
        return IntStream.range(0, output.length).mapToDouble(i -> output[i] * upstream[i]).sum();
    }

    @Test
    void crossEntropyIsTheWeightedMeanByHand() {
        double[] logits = {1, 2, 3, 4, 0, -1};
        double[] p = {Math.exp(1 - 3) / (Math.exp(-2) + Math.exp(-1) + 1), 1 / (1 + Math.exp(-4) + Math.exp(-5))};
        double expected = -(2 * Math.log(p[0]) + 2 * Math.log(p[1])) / 4;
        TorchLoss loss = new TorchLoss(new double[] {2, 1, 1}, 0, -100);
        assertEquals(expected, TorchOps.crossEntropy(logits, new int[] {0, 0}, loss).output()[0], 1e-12);
    }

    @Test
    void clipScalesOnlyAboveTheBound() {
        TorchOps.Result clipped = TorchOps.clip(new double[] {3, 4}, 1);
        assertEquals(5, clipped.output()[0], 1e-12);
        assertArrayEquals(new double[] {0.6, 0.8}, clipped.gradient("gradient"), 1e-6);
        assertArrayEquals(new double[] {3, 4}, TorchOps.clip(new double[] {3, 4}, 6).gradient("gradient"));
    }

    @Test
    void firstAdamWStepMovesByTheLearningRate() {
        TorchOps.AdamWResult r = TorchOps.adamW(new double[] {1, 1}, new double[] {0.5, -2}, new double[2], new double[2],
                1, 0.01, 0.9, 0.999, 1e-8, 0.1);
        assertArrayEquals(new double[] {0.999 - 0.01, 0.999 + 0.01}, r.parameter(), 1e-9);
        assertArrayEquals(new double[] {0.05, -0.2}, r.firstMoment(), 1e-12);
        assertArrayEquals(new double[] {0.00025, 0.004}, r.secondMoment(), 1e-12);
    }
}
