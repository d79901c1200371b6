package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Cross-entropy as the masked language model uses it: a chunk of rows as wide as the vocabulary of bert-base-uncased,
 * the gradient in place of the logits. 8 million elements: too many to stand in {@link OpTable}, where each case runs a
 * dozen times.
 */
class VocabularyLossTest {
    private static final int N = 257;
    private static final int C = 30522;
    private static final int STRIDE = 30528;
    private static final int IGNORE = -100;
    private static final float SCALE = 1f / N;
    private static final float[] LOGITS = Floats.normal(5, N * C, 3);
    private static final int[] LABELS = Floats.integers(6, N, C);

    static {
        for (int n = 3; n < N; n += 7) {
            LABELS[n] = IGNORE;
        }
    }

    static List<String> backends() {
        return TestBackends.available();
    }

    @ParameterizedTest
    @MethodSource("backends")
    void theGradientTakesTheLogitsPlace(String name) {
        try (Backend backend = Backends.open(name, 2); DeviceMemory logits = backend.allocate("logits", 4L * N * STRIDE);
                DeviceMemory labels = backend.allocate("labels", 4L * N); DeviceMemory loss = backend.allocate("loss", 4L * N)) {
            logits.upload(CrossEntropyCases.spaced(LOGITS, Floats.filled(N * STRIDE, Float.NaN), N));
            labels.upload(LABELS);
            backend.crossEntropy(Dtype.F32, loss.address(), logits.address(), logits.address(), labels.address(), 0, 0, IGNORE, SCALE, N, C, STRIDE);
            float[] losses = loss.downloadFloats(0, N);
            for (int n = 0; n < N; n++) {
                check(n, losses[n], logits.downloadFloats((long) n * STRIDE, C));
            }
        }
    }

    private static void check(int n, float loss, float[] gradient) {
        if (LABELS[n] == IGNORE) {
            assertEquals(0, loss);
            assertEquals(0, Floats.norm(gradient), "gradient of row " + n);
            return;
        }
        double[] expected = new double[C];
        double total = 0;
        for (int c = 0; c < C; c++) {
            expected[c] = Math.exp(LOGITS[n * C + c]); // |logit| < 20
            total += expected[c];
        }
        for (int c = 0; c < C; c++) {
            expected[c] = SCALE * (expected[c] / total - (c == LABELS[n] ? 1 : 0));
        }
        double exact = Math.log(total) - LOGITS[n * C + LABELS[n]];
        assertEquals(exact, loss, 1e-6 * exact, "loss of row " + n);
        double error = Floats.relativeError(expected, Floats.widen(gradient), 0);
        assertTrue(error < 1e-6, () -> "gradient of row " + n + " is off by " + error); // as in CrossEntropyCases
    }
}
