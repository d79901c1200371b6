package org.warpbert.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.DoubleSupplier;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.warpbert.backend.Floats;

/** The reference itself: gradients against finite differences, padding without effect, AdamW against its formula. */
class TorchBertTest {
    private static final int[][] TOKENS = {{1, 5, 9, 2}, {1, 3, 2, 10, 4, 7, 2}, {1}};
    private static final int[][] SEGMENTS = {{0, 0, 0, 0}, {0, 0, 0, 1, 1, 1, 1}, {0}};
    private static final TorchBatch BATCH = TorchBatch.of(TOKENS, SEGMENTS);
    private static final int[] LABELS = {2, 0, 1};
    private static final int[] ROWS = {1, 5, 8};
    private static final int[] ROW_LABELS = {5, 3, -100};
    private static final TorchLoss LOSS = new TorchLoss(new double[] {1, 0.5, 2}, 0.1, -100);

    private static TorchBert tiny(String activation, ScalarType dtype) {
        TorchBertConfig config = new TorchBertConfig(11, 8, 2, 2, 12, 9, 2, 1e-12, activation);
        Map<String, long[]> shapes = config.shapes(3, true);
        return new TorchBert(config, TorchBertConfig.random(shapes, 0.3, 1), shapes, dtype);
    }

    @ParameterizedTest
    @ValueSource(strings = {"gelu", "gelu_new", "relu"})
    void classificationGradientsAgreeWithFiniteDifferences(String activation) {
        try (TorchBert bert = tiny(activation, ScalarType.Double)) {
            bert.backward(BATCH, LABELS, LOSS);
            checkGradients(bert, () -> bert.loss(BATCH, LABELS, LOSS), "cls.");
        }
    }

    @Test
    void maskedLanguageModelGradientsAgreeWithFiniteDifferences() {
        try (TorchBert bert = tiny("gelu", ScalarType.Double)) {
            bert.backwardMlm(BATCH, ROWS, ROW_LABELS);
            checkGradients(bert, () -> bert.mlmLoss(BATCH, ROWS, ROW_LABELS), "pooler.", "classifier.");
        }
    }

    @Test
    void tokenGradientsAgreeWithFiniteDifferences() {
        try (TorchBert bert = tiny("gelu", ScalarType.Double)) {
            bert.backwardTokens(BATCH, ROWS, LABELS);
            checkGradients(bert, () -> bert.tokenLoss(BATCH, ROWS, LABELS), "pooler.", "cls.");
        }
    }

    private static void checkGradients(TorchBert bert, DoubleSupplier loss, String... unused) {
        Map<String, double[]> gradients = new LinkedHashMap<>();
        bert.names().forEach(name -> gradients.put(name, bert.gradient64(name)));
        double sumOfSquares = 0;
        for (Map.Entry<String, double[]> entry : gradients.entrySet()) {
            String name = entry.getKey();
            double[] gradient = entry.getValue();
            double norm = 0;
            for (double g : gradient) {
                norm += g * g;
            }
            sumOfSquares += norm;
            boolean isUnused = Arrays.stream(unused).anyMatch(name::startsWith);
            assertEquals(isUnused, norm == 0, name);
            for (int i = 0; i < gradient.length; i += 1 + gradient.length / 7) {
                bert.nudge(name, i, 1e-5);
                double above = loss.getAsDouble();
                bert.nudge(name, i, -2e-5);
                double below = loss.getAsDouble();
                bert.nudge(name, i, 1e-5);
                assertEquals((above - below) / 2e-5, gradient[i], 1e-8, name + "[" + i + "]");
            }
        }
        assertEquals(Math.sqrt(sumOfSquares), bert.gradientNorm(), 1e-12);
    }

    @Test
    void paddingAndFusedAttentionChangeNothing() {
        try (TorchBert bert = tiny("gelu", ScalarType.Double)) {
            TorchBert.Outputs expected = bert.forward(BATCH);
            double loss = bert.backward(BATCH, LABELS, LOSS);
            Map<String, double[]> gradients = new LinkedHashMap<>();
            bert.names().forEach(name -> gradients.put(name, bert.gradient64(name)));
            for (boolean fused : new boolean[] {false, true}) {
                bert.fusedAttention(fused);
                TorchBatch padded = BATCH.paddedTo(16);
                TorchBert.Outputs actual = bert.forward(padded);
                assertArrayEquals(expected.lastHidden(), actual.lastHidden(), 1e-12);
                assertArrayEquals(expected.pooled(), actual.pooled(), 1e-12);
                assertArrayEquals(expected.logits(), actual.logits(), 1e-12);
                assertEquals(loss, bert.backward(padded, LABELS, LOSS), 1e-12);
                gradients.forEach((name, g) -> assertArrayEquals(g, bert.gradient64(name), 1e-12, name));
            }
        }
    }

    @Test
    void sequencesDoNotSeeEachOther() {
        try (TorchBert bert = tiny("gelu", ScalarType.Double)) {
            double[] together = bert.forward(BATCH).lastHidden();
            double[] alone = bert.forward(TorchBatch.of(new int[][] {TOKENS[0]})).lastHidden();
            assertArrayEquals(Arrays.copyOf(together, alone.length), alone, 1e-12);
        }
    }

    @Test
    void upstreamOfTheEncoderIsLinear() {
        try (TorchBert bert = tiny("gelu", ScalarType.Double)) {
            double[] upstream = new double[BATCH.realTokens() * 8];
            upstream[3] = 2;
            double value = bert.backwardHidden(BATCH, upstream);
            assertEquals(2 * bert.forward(BATCH).lastHidden()[3], value, 1e-12);
            assertTrue(bert.gradientNorm() > 0);
        }
    }

    @Test
    void trajectoryIsAdamWAndClipByTheirFormulas() {
        try (TorchBert bert = tiny("gelu", ScalarType.Double); TorchAdamW adamW = new TorchAdamW(bert, 0.01)) {
            Map<String, TorchOps.AdamWResult> states = new LinkedHashMap<>();
            double first = bert.loss(BATCH, LABELS, TorchLoss.MEAN);
            for (int step = 1; step <= 5; step++) {
                bert.backward(BATCH, LABELS, TorchLoss.MEAN);
                double norm = bert.gradientNorm();
                double lr = 0.01 * (1 - (step - 1) / 5.0);
                for (String name : bert.names()) {
                    TorchOps.AdamWResult old = states.get(name);
                    double[] g = bert.gradient64(name);
                    if (name.startsWith("cls.")) {
                        continue;
                    }
                    for (int i = 0; i < g.length; i++) {
                        g[i] *= Math.min(1, 0.5 / (norm + 1e-6));
                    }
                    double[] p = old == null ? Floats.widen(bert.values(name)) : old.parameter();
                    boolean none = name.endsWith(".bias") || name.contains("LayerNorm");
                    states.put(name, TorchOps.adamW(p, g, old == null ? new double[g.length] : old.firstMoment(),
                            old == null ? new double[g.length] : old.secondMoment(), step, lr, 0.9, 0.999, 1e-8, none ? 0 : 0.01));
                }
                assertEquals(norm, adamW.step(lr, 0.5), 1e-12);
                states.forEach((name, s) -> assertArrayEquals(s.parameter(), Floats.widen(bert.values(name)), 1e-6, name));
            }
            assertTrue(bert.loss(BATCH, LABELS, TorchLoss.MEAN) < first);
        }
    }
}
