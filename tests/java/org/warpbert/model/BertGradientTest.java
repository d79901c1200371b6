package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.warpbert.model.TinyBert.error;
import static org.warpbert.model.TinyBert.norm;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.reference.TorchBatch;
import org.warpbert.reference.TorchBert;
import org.warpbert.reference.TorchLoss;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Encoded;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/**
 * The whole model, forward and backward by hand, against libtorch in float64. Tolerances are relative norms: a rounding
 * of 6e-8 is made some tens of times on the way through two or three layers and back, and LayerNorm and softmax of
 * these weights amplify what came before. Measured: at most 7.5e-7 forward and 5e-6 backward; allowed is three times that.
 */
class BertGradientTest {
    private static final double FORWARD = 2e-6;
    private static final double BACKWARD = 1.5e-5;
    private static final int[] LENGTHS = {5, 1, 17, 9, 2, 16, 13};

    private static Backend backend;

    @BeforeAll
    static void open() {
        backend = Backends.open("cpu", 2);
    }

    @AfterAll
    static void close() {
        backend.close();
    }

    /** A model to train with its parameters and gradients. */
    private static final class Training implements AutoCloseable {
        final TinyBert tiny;
        final ClassificationHead head;
        final Parameters parameters;
        final Gradients gradients;
        final BertModel model;

        Training(TinyBert tiny) {
            this.tiny = tiny;
            head = new ClassificationHead(tiny.classes);
            parameters = tiny.parameters(backend);
            gradients = new Gradients(backend, parameters.table());
            model = new BertModel(backend, tiny.config, parameters, gradients, head, Capacity.of(100, 10));
        }

        /** Gradients of the mean loss by name, of micro-batches that share seed and step. */
        Map<String, float[]> gradients(int normaliser, PackedBatch... parts) {
            for (int i = 0; i < parts.length; i++) {
                model.forward(parts[i], 12, 34);
                model.backward(new float[] {1f / normaliser}, i > 0);
            }
            Map<String, float[]> all = new LinkedHashMap<>();
            parameters.shapes().keySet().forEach(name -> all.put(name, gradients.get(name)));
            return all;
        }

        double loss(PackedBatch batch) {
            model.forward(batch, 12, 34);
            model.evaluate();
            double sum = 0;
            for (float loss : head.losses()) {
                sum += loss;
            }
            return sum / batch.sequences();
        }

        float[] pooled() {
            return model.arena().tensors().stream().filter(t -> t.name().equals("pooler.pooled")).findFirst().orElseThrow()
                    .downloadFloats(head.losses().length * tiny.config.hiddenSize());
        }

        @Override
        public void close() {
            model.close();
            gradients.close();
            parameters.close();
        }
    }

    private static void compare(TinyBert tiny, PackedBatch packed, TorchBatch batch, int[] labels) {
        int known = (int) Arrays.stream(labels).filter(label -> label != PackedBatch.IGNORE).count();
        try (Training training = new Training(tiny); TorchBert torch = tiny.torch()) {
            Map<String, float[]> gradients = training.gradients(known, packed);
            TorchBert.Outputs expected = torch.forward(batch);
            double[] first = tiny.firstRows(packed, expected.lastHidden());
            assertTrue(error(first, training.model.lastHiddenState()) <= FORWARD, () -> "last hidden state " + error(first, training.model.lastHiddenState()));
            assertTrue(error(expected.pooled(), training.pooled()) <= FORWARD, () -> "pooled " + error(expected.pooled(), training.pooled()));
            assertTrue(error(expected.logits(), training.head.logits()) <= FORWARD, () -> "logits " + error(expected.logits(), training.head.logits()));
            double loss = torch.backward(batch, labels, TorchLoss.MEAN);
            double sum = 0;
            for (float each : training.head.losses()) {
                sum += each;
            }
            assertEquals(loss, sum / known, FORWARD * Math.max(1, loss), "loss");
            double all = torch.gradientNorm();
            assertTrue(all > 0.01, "a gradient of norm " + all + " says little");
            gradients.forEach((name, gradient) -> {
                double[] wanted = torch.gradient64(name);
                // softmax does not feel a shift of all keys: the true gradient is 0, what remains is of its terms' rounding
                double size = name.endsWith("key.bias") ? norm(torch.gradient64(name.replace("bias", "weight"))) : norm(wanted);
                assertTrue(error(wanted, gradient, size) <= BACKWARD, () -> "gradient of " + name + " is off by " + error(wanted, gradient, size)
                        + " of its norm " + size);
            });
        }
    }

    @ParameterizedTest(name = "H={0} A={1} I={2} L={3} {4}")
    @CsvSource({"24, 3, 40, 2, GELU", "64, 2, 97, 1, GELU_TANH", "33, 3, 31, 3, RELU", "8, 1, 1, 2, GELU", "96, 3, 128, 3, GELU"})
    void agreesWithAutogradInFloat64(int hidden, int heads, int intermediate, int layers, Activation activation) {
        TinyBert tiny = new TinyBert(hidden, heads, intermediate, layers, activation, 0, 3, hidden);
        List<Encoded> sequences = TinyBert.sequences(1, LENGTHS);
        int[] labels = tiny.labels(2, LENGTHS.length);
        compare(tiny, PackedBatch.of(sequences, labels), TinyBert.batch(sequences), labels);
    }

    @Test
    void sequencesWithoutLabelCountNeitherInLossNorGradient() {
        TinyBert tiny = new TinyBert(24, 3, 40, 2, Activation.GELU, 0, 4, 5);
        List<Encoded> sequences = TinyBert.sequences(1, LENGTHS);
        int[] labels = tiny.labels(2, LENGTHS.length);
        labels[0] = PackedBatch.IGNORE;
        labels[3] = PackedBatch.IGNORE;
        compare(tiny, PackedBatch.of(sequences, labels), TinyBert.batch(sequences), labels);
    }

    /** A padded batch with holes in its mask means what it means to a padded model that masks keys. */
    @Test
    void holesInTheMaskAreWhatAPaddedModelMakesOfThem() {
        TinyBert tiny = new TinyBert(24, 3, 40, 2, Activation.GELU, 0, 3, 6);
        int length = 14;
        SplittableRandom random = new SplittableRandom(3);
        int[][] ids = new int[5][length];
        int[][] mask = new int[5][length];
        int[][] segments = new int[5][length];
        int[][] positions = new int[5][length];
        boolean[][] visible = new boolean[5][length];
        for (int b = 0; b < ids.length; b++) {
            for (int i = 0; i < length; i++) {
                ids[b][i] = random.nextInt(TinyBert.VOCABULARY);
                segments[b][i] = random.nextInt(2);
                positions[b][i] = i;
                mask[b][i] = i == 0 || i < length - b && random.nextInt(3) > 0 ? 1 : 0; // holes, and padding at the end
                visible[b][i] = mask[b][i] == 1;
            }
        }
        int[] labels = tiny.labels(4, ids.length);
        PackedBatch packed = PackedBatch.fromPadded(ids, mask, segments, labels);
        assertTrue(packed.totalTokens() < 5 * length - 15, "the mask has holes");
        compare(tiny, packed, new TorchBatch(ids, segments, positions, length, visible), labels);
    }

    /** Also with dropout: masks are drawn by row of the effective batch. */
    @ParameterizedTest
    @CsvSource({"0", "0.2"})
    void microBatchesAddUpToTheWhole(double dropout) {
        TinyBert tiny = new TinyBert(24, 3, 40, 2, Activation.GELU, dropout, 3, 7);
        PackedBatch whole = PackedBatch.of(TinyBert.sequences(1, LENGTHS), tiny.labels(2, LENGTHS.length));
        try (Training training = new Training(tiny)) {
            Map<String, float[]> expected = training.gradients(LENGTHS.length, whole);
            Map<String, float[]> actual = training.gradients(LENGTHS.length, whole.slice(0, 2), whole.select(6, 3), whole.slice(4, 6), whole.select(2));
            double all = Math.sqrt(expected.values().stream().mapToDouble(g -> dot(g, g)).sum());
            expected.forEach((name, gradient) -> {
                double[] wanted = new double[gradient.length];
                Arrays.setAll(wanted, i -> gradient[i]);
                double size = name.endsWith("key.bias") ? all : norm(wanted); // see compare()
                // the same terms in another order; those of the embeddings, which sum over all tokens, cancel: 1.1e-6 measured
                assertTrue(error(wanted, actual.get(name), size) <= 3e-6, () -> name + " " + error(wanted, actual.get(name), size));
            });
        }
    }

    @Test
    void sameSeedAndStepGiveTheSameBitsAndOthersDoNot() {
        TinyBert tiny = new TinyBert(24, 3, 40, 2, Activation.GELU, 0.3, 3, 8);
        PackedBatch batch = PackedBatch.of(TinyBert.sequences(1, LENGTHS), tiny.labels(2, LENGTHS.length));
        try (Training training = new Training(tiny)) {
            training.model.forward(batch, 1, 1);
            float[] first = training.model.lastHiddenState();
            training.model.forward(batch, 1, 2);
            assertTrue(!Arrays.equals(first, training.model.lastHiddenState()), "the step is drawn from");
            training.model.forward(batch, 2, 1);
            assertTrue(!Arrays.equals(first, training.model.lastHiddenState()), "the seed is drawn from");
            training.model.forward(batch, 1, 1);
            assertArrayEquals(first, training.model.lastHiddenState());
            Map<String, float[]> gradients = training.gradients(7, batch);
            training.gradients(7, batch).forEach((name, again) -> assertArrayEquals(gradients.get(name), again, name));
        }
    }

    /**
     * With dropout on, where libtorch draws other masks: central differences of the loss itself. Directions are the
     * gradient with random halves of its elements left out, so that they are steep but no two alike. A step of h = 2e-3
     * leaves a share of about h^2 and the loss's rounding, 1e-7 / 2h, of slopes of about 4: measured 8e-5.
     */
    @Test
    void gradientWithDropoutIsTheDifferenceOfTheLoss() {
        TinyBert tiny = new TinyBert(24, 3, 40, 2, Activation.GELU, 0.2, 3, 9);
        PackedBatch batch = PackedBatch.of(TinyBert.sequences(1, LENGTHS), tiny.labels(2, LENGTHS.length));
        try (Training training = new Training(tiny)) {
            Map<String, float[]> gradients = training.gradients(LENGTHS.length, batch);
            Map<String, float[]> values = new LinkedHashMap<>();
            gradients.keySet().forEach(name -> values.put(name, training.parameters.get(name)));
            for (int k = 0; k < 4; k++) {
                SplittableRandom random = new SplittableRandom(k);
                Map<String, float[]> direction = new LinkedHashMap<>();
                gradients.forEach((name, gradient) -> {
                    float[] chosen = gradient.clone();
                    for (int i = 0; i < chosen.length; i++) {
                        chosen[i] = random.nextBoolean() ? chosen[i] : 0;
                    }
                    direction.put(name, chosen);
                });
                double squares = direction.values().stream().mapToDouble(d -> dot(d, d)).sum();
                double step = 2e-3 / Math.sqrt(squares);
                double slope = (moved(training, batch, values, direction, step) - moved(training, batch, values, direction, -step)) / (2 * step);
                assertEquals(squares, slope, 5e-4 * squares, "direction " + k);
            }
        }
    }

    private static double moved(Training training, PackedBatch batch, Map<String, float[]> values, Map<String, float[]> direction, double step) {
        values.forEach((name, value) -> {
            float[] moved = value.clone();
            for (int i = 0; i < moved.length; i++) {
                moved[i] += (float) (step * direction.get(name)[i]);
            }
            training.parameters.set(name, moved);
        });
        return training.loss(batch);
    }

    private static double dot(float[] a, float[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += (double) a[i] * b[i];
        }
        return sum;
    }

    /** A model for inference, which shares buffers between layers, gives the training model's bits without dropout. */
    @Test
    void inferenceComputesWhatTrainingDoes() {
        TinyBert tiny = new TinyBert(33, 3, 31, 3, Activation.GELU, 0, 3, 10);
        PackedBatch batch = PackedBatch.of(TinyBert.sequences(1, LENGTHS), tiny.labels(2, LENGTHS.length));
        try (Training training = new Training(tiny);
                BertModel model = new BertModel(backend, tiny.config, training.parameters, null, Head.NONE, Capacity.of(100, 10))) {
            training.model.forward(batch, 0, 0);
            model.forward(batch);
            assertArrayEquals(tiny.firstRows(batch, model.lastHiddenState()), training.model.lastHiddenState());
        }
    }

    /** A caller's own ids may be anything: none reaches an embedding table that it lies outside of. */
    @Test
    void idsOutsideTheTablesAreRefused() {
        TinyBert tiny = new TinyBert(24, 3, 31, 1, Activation.GELU, 0, 3, 10);
        try (Training training = new Training(tiny)) {
            int[][] ones = {{1, 1, 1}};
            for (int[][] ids : new int[][][] {{{1, TinyBert.VOCABULARY, 2}}, {{1, Integer.MAX_VALUE, 2}}}) {
                String message = assertThrows(WarpBertException.class,
                        () -> training.model.forward(PackedBatch.fromPadded(ids, ones, null), 0, 0)).getMessage();
                assertTrue(message.contains("token " + ids[0][1] + " at token 1") && message.contains("53"), message);
            }
            assertThrows(WarpBertException.class, () -> training.model.forward(PackedBatch.fromPadded(new int[][] {{1, 2, 3}}, ones, new int[][] {{0, 2, 0}}), 0, 0));
            int[][] longer = new int[1][TinyBert.POSITIONS + 1];
            int[][] mask = new int[1][TinyBert.POSITIONS + 1];
            Arrays.fill(mask[0], 1);
            assertThrows(WarpBertException.class, () -> training.model.forward(PackedBatch.fromPadded(longer, mask, null), 0, 0));
        }
    }
}
