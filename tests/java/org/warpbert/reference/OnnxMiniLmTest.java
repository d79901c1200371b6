package org.warpbert.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.onnxruntime.OrtException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** That the other engine runs the real model: meaning comes out of it, and padding does not change it. */
class OnnxMiniLmTest {
    private static int[][] tokenize(String... texts) throws IOException {
        try (HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.newInstance(
                new ByteArrayInputStream(MiniLmJar.read(MiniLmJar.TOKENIZER)), Map.of("padding", "false"))) {
            return Arrays.stream(texts)
                    .map(text -> Arrays.stream(tokenizer.encode(text).getIds()).mapToInt(Math::toIntExact).toArray())
                    .toArray(int[][]::new);
        }
    }

    @Test
    void similarSentencesAreNearAndPaddingChangesNothing() throws OrtException, IOException {
        int[][] tokens = tokenize("A man is eating food.", "A man eats a piece of bread for lunch.",
                "The central bank raised interest rates.");
        try (OnnxMiniLm model = new OnnxMiniLm()) {
            OnnxMiniLm.Outputs outputs = model.run(tokens);
            float[] hidden = outputs.lastHidden();
            assertEquals(Arrays.stream(tokens).mapToInt(t -> t.length).sum() * OnnxMiniLm.HIDDEN_SIZE, hidden.length);
            double[][] means = means(hidden, tokens);
            double near = cosine(means[0], means[1]);
            double far = cosine(means[0], means[2]);
            assertTrue(near > 0.5 && far < 0.2, "near " + near + ", far " + far);

            int[][] segments = Arrays.stream(tokens).map(t -> new int[t.length]).toArray(int[][]::new);
            OnnxMiniLm.Outputs padded = model.run(tokens, segments, 40);
            assertArrayEquals(hidden, padded.lastHidden(), 1e-5f);
            assertArrayEquals(outputs.pooled(), padded.pooled(), 1e-5f);
        }
    }

    private static double[][] means(float[] hidden, int[][] tokens) {
        double[][] means = new double[tokens.length][OnnxMiniLm.HIDDEN_SIZE];
        int t = 0;
        for (int b = 0; b < tokens.length; b++) {
            for (int s = 0; s < tokens[b].length; s++, t++) {
                for (int h = 0; h < OnnxMiniLm.HIDDEN_SIZE; h++) {
                    means[b][h] += hidden[t * OnnxMiniLm.HIDDEN_SIZE + h] / tokens[b].length;
                }
            }
        }
        return means;
    }

    private static double cosine(double[] a, double[] b) {
        double ab = 0;
        double aa = 0;
        double bb = 0;
        for (int i = 0; i < a.length; i++) {
            ab += a[i] * b[i];
            aa += a[i] * a[i];
            bb += b[i] * b[i];
        }
        return ab / Math.sqrt(aa * bb);
    }
}
