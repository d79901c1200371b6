package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.memory.Arena;
import org.warpbert.model.BertConfig;
import org.warpbert.model.BertModel;
import org.warpbert.model.Gradients;
import org.warpbert.model.Head;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Parameters;
import org.warpbert.model.TinyBert;
import org.warpbert.reference.TorchBatch;
import org.warpbert.reference.TorchBert;
import org.warpbert.reference.TorchBertConfig;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.Instance;
import org.warpbert.text.PackedBatch;

/** Both terms of the pre-training loss and their gradients, against libtorch in float64 and against differences of the loss. */
class MaskedWordHeadTest {
    // as in BertGradientTest: some tens of roundings of 6e-8 on the way there and back
    private static final double FORWARD = 2e-6;
    private static final double BACKWARD = 1.5e-5;
    private static final int[] LENGTHS = {5, 3, 17, 9, 2, 16, 13};
    private static final String WORDS = "embeddings.word_embeddings.weight";

    private static Backend backend;

    @BeforeAll
    static void open() {
        backend = Backends.open("cpu", 2);
    }

    @AfterAll
    static void close() {
        backend.close();
    }

    /** A small model for pre-training, here and in libtorch. */
    private static final class Training implements AutoCloseable {
        final BertConfig config;
        final boolean relation;
        final MaskedWordHead head;
        final Parameters parameters;
        final Gradients gradients;
        final BertModel model;
        final TorchBertConfig torchConfig;
        final Map<String, float[]> values;

        Training(boolean relation, int chunk, double dropout) {
            this.relation = relation;
            config = new TinyBert(24, 3, 40, 2, Activation.GELU, dropout, 2, 1).config;
            torchConfig = new TorchBertConfig(TinyBert.VOCABULARY, 24, 2, 3, 40, TinyBert.POSITIONS, 2, 1e-12, "gelu");
            values = TorchBertConfig.random(torchConfig.pretrainingShapes(), 1.5 / Math.sqrt(24), 5);
            head = new MaskedWordHead(relation, chunk);
            parameters = Parameters.random(backend, MaskedWordHead.parameters(config, relation), 0);
            parameters.shapes().keySet().forEach(name -> parameters.set(name, values.get(name)));
            gradients = new Gradients(backend, parameters.table());
            model = new BertModel(backend, config, parameters, gradients, head, new Capacity(100, 10, 10, 10, 80));
        }

        TorchBert torch() {
            return new TorchBert(torchConfig, values, torchConfig.pretrainingShapes(), ScalarType.Double);
        }

        /** Gradients of the loss of the whole by name, of micro-batches that share seed and step; also sums {@code losses}. */
        Map<String, float[]> gradients(PackedBatch whole, double[] losses, PackedBatch... parts) {
            double[] normalisers = head.normalisers(whole);
            float[] scales = new float[normalisers.length];
            for (int k = 0; k < scales.length; k++) {
                scales[k] = normalisers[k] == 0 ? 0 : (float) (1 / normalisers[k]);
            }
            for (int i = 0; i < parts.length; i++) {
                model.forward(parts[i], 12, 34);
                model.backward(scales, i > 0);
                for (int k = 0; k < losses.length; k++) {
                    losses[k] += head.lossSums()[k];
                }
            }
            Map<String, float[]> all = new LinkedHashMap<>();
            parameters.shapes().keySet().forEach(name -> all.put(name, gradients.get(name)));
            return all;
        }

        Map<String, float[]> gradients(PackedBatch batch) {
            return gradients(batch, new double[relation ? 2 : 1], batch);
        }

        double loss(PackedBatch batch) {
            model.forward(batch, 12, 34);
            model.evaluate();
            return Head.loss(head.lossSums(), head.normalisers(batch));
        }

        @Override
        public void close() {
            model.close();
            gradients.close();
            parameters.close();
        }
    }

    record Batch(List<Encoded> sequences, PackedBatch packed) {}

    /** Sequences of which {@code masked} tokens in all have labels, at random, and each a relation. */
    static Batch batch(int masked, boolean relation) {
        List<Encoded> sequences = TinyBert.sequences(1, LENGTHS);
        SplittableRandom random = new SplittableRandom(9);
        int[][] labels = new int[LENGTHS.length][];
        for (int b = 0; b < LENGTHS.length; b++) {
            labels[b] = new int[LENGTHS[b]];
            Arrays.fill(labels[b], PackedBatch.IGNORE);
        }
        for (int left = masked; left > 0; ) {
            int b = random.nextInt(LENGTHS.length);
            int i = 1 + random.nextInt(LENGTHS[b] - 1); // never [CLS]
            if (labels[b][i] == PackedBatch.IGNORE) {
                labels[b][i] = random.nextInt(TinyBert.VOCABULARY);
                left--;
            }
        }
        List<Instance> instances = new ArrayList<>();
        for (int b = 0; b < LENGTHS.length; b++) {
            instances.add(new Instance(List.of(sequences.get(b)), relation ? new int[] {b * 5 % 3 % 2} : new int[0], new int[][] {labels[b]}));
        }
        return new Batch(sequences, PackedBatch.of(instances));
    }

    private static double[] widened(float[] values) {
        double[] wide = new double[values.length];
        Arrays.setAll(wide, i -> values[i]);
        return wide;
    }

    /** Chunks that divide the rows, that do not, that hold all, and one row at a time. */
    @ParameterizedTest(name = "relation={0}, {1} masked, chunks of {2}")
    @CsvSource({"true, 21, 7", "true, 21, 8", "true, 21, 256", "true, 1, 1", "false, 23, 5", "false, 40, 1"})
    void agreesWithAutogradInFloat64(boolean relation, int masked, int chunk) {
        Batch batch = batch(masked, relation);
        PackedBatch packed = batch.packed;
        TorchBatch reference = TinyBert.batch(batch.sequences);
        try (Training training = new Training(relation, chunk, 0); TorchBert torch = training.torch()) {
            double[] losses = new double[relation ? 2 : 1];
            Map<String, float[]> gradients = training.gradients(packed, losses, packed);
            double loss = relation ? torch.backwardPretraining(reference, packed.labelledRows(), packed.tokenLabels(), packed.labels())
                    : torch.backwardMlm(reference, packed.labelledRows(), packed.tokenLabels());
            assertEquals(loss, Head.loss(losses, training.head.normalisers(packed)), FORWARD * loss);
            gradients.forEach((name, gradient) -> {
                double[] wanted = torch.gradient64(name);
                double size = TinyBert.norm(name.endsWith("key.bias") ? torch.gradient64(name.replace("bias", "weight")) : wanted); // see BertGradientTest
                assertTrue(size > 1e-4, name + " has a gradient");
                assertTrue(TinyBert.error(wanted, gradient, size) <= BACKWARD, () -> name + " is off by " + TinyBert.error(wanted, gradient, size));
            });
            assertEquals(loss, training.loss(packed), FORWARD * loss, "evaluated without gradients");
            double[] logits = torch.mlmLogits(reference, packed.labelledRows());
            if (chunk >= masked) {
                assertTrue(TinyBert.error(logits, training.head.wordLogits()) <= FORWARD);
            }
            int[] best = new int[masked];
            Arrays.setAll(best, m -> Evaluation.argmax(narrowed(logits), m * TinyBert.VOCABULARY, TinyBert.VOCABULARY));
            assertArrayEquals(best, training.head.predictedWords());
        }
    }

    private static float[] narrowed(double[] values) {
        float[] narrow = new float[values.length];
        for (int i = 0; i < narrow.length; i++) {
            narrow[i] = (float) values[i];
        }
        return narrow;
    }

    @Test
    void aBatchWithoutMaskedTokensStillTeachesTheRelation() {
        Batch batch = batch(0, true);
        try (Training training = new Training(true, 8, 0)) {
            training.gradients(batch(21, true).packed); // what it leaves in the buffers must not be seen
            Map<String, float[]> gradients = training.gradients(batch.packed);
            assertArrayEquals(new float[24 * 24], gradients.get("cls.predictions.transform.dense.weight"));
            assertArrayEquals(new float[TinyBert.VOCABULARY], gradients.get("cls.predictions.bias"));
            assertTrue(TinyBert.norm(widened(gradients.get("cls.seq_relationship.weight"))) > 1e-3);
            assertTrue(TinyBert.norm(widened(gradients.get(WORDS))) > 1e-3);
            assertEquals(0, training.head.lossSums()[0]);
            assertEquals(training.loss(batch.packed), training.head.lossSums()[1] / LENGTHS.length, 1e-6);
        }
    }

    /** With dropout: masks are drawn by row of the effective batch. One part has no masked token at all. */
    @Test
    void microBatchesAndChunksAddUpToTheWhole() {
        PackedBatch whole = batch(21, true).packed;
        try (Training training = new Training(true, 256, 0.2); Training chunked = new Training(true, 4, 0.2)) {
            double[] losses = new double[2];
            Map<String, float[]> expected = training.gradients(whole, losses, whole);
            double[] again = new double[2];
            Map<String, float[]> parts = chunked.gradients(whole, again, whole.slice(0, 2), whole.select(6, 3), whole.slice(4, 6), whole.select(2));
            for (int term = 0; term < losses.length; term++) {
                assertEquals(losses[term], again[term], 1e-6 * losses[term], "term " + term);
            }
            double all = Math.sqrt(expected.values().stream().mapToDouble(g -> Math.pow(TinyBert.norm(widened(g)), 2)).sum());
            expected.forEach((name, gradient) -> {
                double[] wanted = widened(gradient);
                double size = name.endsWith("key.bias") ? all : TinyBert.norm(wanted);
                // a library's products of other numbers of rows round elsewhere, and the sum for queries' bias is small beside its terms:
                // 3.05e-6 with OpenBLAS for AVX2
                assertTrue(TinyBert.error(wanted, parts.get(name), size) <= (name.endsWith("query.bias") ? 6e-6 : 3e-6), () -> name + " " + TinyBert.error(wanted, parts.get(name), size));
            });
        }
    }

    /**
     * With dropout on, where libtorch draws other masks: central differences along the gradient. The tied table is moved on
     * its own too: the loss falls through its embeddings and its decoder. A step of 2e-3 leaves h^2 and rounding.
     */
    @ParameterizedTest
    @CsvSource({"true", "false"})
    void gradientIsTheDifferenceOfTheLoss(boolean tableAlone) {
        PackedBatch packed = batch(21, true).packed;
        try (Training training = new Training(true, 8, 0.2)) {
            Map<String, float[]> gradients = training.gradients(packed);
            gradients.keySet().removeIf(name -> tableAlone && !name.equals(WORDS));
            double squares = gradients.values().stream().mapToDouble(g -> Math.pow(TinyBert.norm(widened(g)), 2)).sum();
            double step = 2e-3 / Math.sqrt(squares);
            double[] at = new double[2];
            for (int side = 0; side < 2; side++) {
                double move = side == 0 ? -step : step;
                gradients.forEach((name, gradient) -> {
                    float[] moved = training.values.get(name).clone();
                    for (int i = 0; i < moved.length; i++) {
                        moved[i] += (float) (move * gradient[i]);
                    }
                    training.parameters.set(name, moved);
                });
                at[side] = training.loss(packed);
            }
            assertEquals(squares, (at[1] - at[0]) / (2 * step), 1e-3 * squares);
        }
    }

    @Test
    void whatIsNoNumberHasNoLargest() {
        assertEquals(1, Evaluation.argmax(new float[] {Float.NaN, 1, 3, 3}, 1, 3));
        for (float none : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            String message = assertThrows(WarpBertException.class, () -> Evaluation.argmax(new float[] {1, none}, 0, 2)).getMessage();
            assertTrue(message.contains("not a finite number"), message);
        }
    }

    /** Never [M, V]: only a chunk of logits, whatever the number of masked rows. */
    @Test
    void memoryForLogitsIsThatOfAChunk() {
        try (Training training = new Training(true, 8, 0)) {
            Arena.Tensor logits = training.model.arena().tensors().stream().filter(t -> t.name().equals("mlm.logits")).findFirst().orElseThrow();
            assertEquals(8L * ParameterTable.decodedWords(TinyBert.VOCABULARY) * Float.BYTES, logits.bytes());
        }
    }
}
