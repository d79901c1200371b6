package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.warpbert.model.TinyBert.error;
import static org.warpbert.model.TinyBert.norm;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
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

/**
 * The heads for answers and for candidates on a small BERT: every gradient against libtorch in float64 and against
 * differences of the loss, and split batches against whole ones. Tolerances as in BertGradientTest.
 */
class QuestionHeadsTest {
    private static final double FORWARD = 2e-6;
    private static final double BACKWARD = 1.5e-5;
    private static final int HIDDEN = 24;
    private static final TorchBertConfig TORCH =
            new TorchBertConfig(TinyBert.VOCABULARY, HIDDEN, 2, 3, 40, TinyBert.POSITIONS, 2, 1e-12, "gelu");

    private static Backend backend;

    @BeforeAll
    static void open() {
        backend = Backends.open("cpu", 2);
    }

    @AfterAll
    static void close() {
        backend.close();
    }

    /** A head, a batch for it, and libtorch's loss of that batch. */
    private enum Case {
        /** Seven windows; one without a known answer, one that points to [CLS], one of a single token. */
        SPAN(SpanHead::parameters) {
            @Override
            Head head() {
                return new SpanHead();
            }

            @Override
            List<Instance> instances() {
                int[][] ends = {{1, 4}, {0, 0}, {3, 3}, {PackedBatch.IGNORE, PackedBatch.IGNORE}, {0, 0}, {15, 15}, {2, 12}};
                List<Encoded> sequences = TinyBert.sequences(1, 5, 1, 17, 9, 2, 16, 13);
                return IntStream.range(0, ends.length).mapToObj(b -> Instance.of(sequences.get(b), ends[b])).toList();
            }

            @Override
            double torch(TorchBert torch, TorchBatch batch, PackedBatch packed) {
                return torch.backwardSpan(batch, packed.labels());
            }

            @Override
            float[] losses(Head head) {
                return ((SpanHead) head).losses();
            }

            @Override
            double outputError(TorchBert torch, TorchBatch batch, Head head) {
                return error(torch.spanLogits(batch), ((SpanHead) head).logits());
            }
        },
        /** Four questions of 3, 2, 1 and 4 candidates; the second one's answer is not known. */
        CHOICE(ChoiceHead::parameters) {
            @Override
            Head head() {
                return new ChoiceHead();
            }

            @Override
            List<Instance> instances() {
                List<Encoded> sequences = TinyBert.sequences(2, 5, 11, 17, 9, 2, 16, 13, 4, 3, 8);
                return List.of(new Instance(sequences.subList(0, 3), new int[] {2}, null),
                        new Instance(sequences.subList(3, 5), new int[] {PackedBatch.IGNORE}, null),
                        new Instance(sequences.subList(5, 6), new int[] {0}, null),
                        new Instance(sequences.subList(6, 10), new int[] {1}, null));
            }

            @Override
            double torch(TorchBert torch, TorchBatch batch, PackedBatch packed) {
                return torch.backwardChoice(batch, packed.cuExamples(), packed.labels());
            }

            @Override
            float[] losses(Head head) {
                return ((ChoiceHead) head).losses();
            }

            @Override
            double outputError(TorchBert torch, TorchBatch batch, Head head) {
                return error(torch.forward(batch).logits(), ((ChoiceHead) head).scores());
            }
        };

        final Function<BertConfig, ParameterTable> table;

        Case(Function<BertConfig, ParameterTable> table) {
            this.table = table;
        }

        abstract Head head();

        abstract List<Instance> instances();

        abstract double torch(TorchBert torch, TorchBatch batch, PackedBatch packed);

        abstract float[] losses(Head head);

        abstract double outputError(TorchBert torch, TorchBatch batch, Head head);
    }

    /** A model with the case's head and random weights, ready to train. */
    private static final class Training implements AutoCloseable {
        final Map<String, long[]> shapes = new LinkedHashMap<>();
        final Map<String, float[]> values;
        final Head head;
        final PackedBatch batch;
        final Parameters parameters;
        final Gradients gradients;
        final BertModel model;

        Training(Case task, double dropout) {
            BertConfig config = BertConfig.ofSizes(TinyBert.VOCABULARY, HIDDEN, 2, 3, 40, TinyBert.POSITIONS, 2).withDropout(dropout);
            parameters = Parameters.random(backend, task.table.apply(config), 0);
            shapes.putAll(parameters.shapes());
            values = TorchBertConfig.random(shapes, 1.5 / Math.sqrt(HIDDEN), 5);
            values.forEach(parameters::set);
            gradients = new Gradients(backend, parameters.table());
            head = task.head();
            batch = PackedBatch.of(task.instances());
            model = new BertModel(backend, config, parameters, gradients, head, Capacity.of(batch));
        }

        Map<String, float[]> gradients(PackedBatch... parts) {
            double known = Arrays.stream(parts).mapToDouble(part -> head.normalisers(part)[0]).sum();
            for (int i = 0; i < parts.length; i++) {
                model.forward(parts[i], 12, 34);
                model.backward(new float[] {(float) (1 / known)}, i > 0);
            }
            Map<String, float[]> all = new LinkedHashMap<>();
            shapes.keySet().forEach(name -> all.put(name, gradients.get(name)));
            return all;
        }

        double loss() {
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

    @ParameterizedTest
    @EnumSource(Case.class)
    void agreesWithAutogradInFloat64(Case task) {
        TorchBatch batch = TinyBert.batch(task.instances().stream().flatMap(instance -> instance.sequences().stream()).toList());
        try (Training training = new Training(task, 0);
                TorchBert torch = new TorchBert(TORCH, training.values, training.shapes, ScalarType.Double)) {
            Map<String, float[]> gradients = training.gradients(training.batch);
            double loss = Head.loss(training.head.lossSums(), training.head.normalisers(training.batch));
            assertEquals(task.torch(torch, batch, training.batch), loss, FORWARD * Math.max(1, loss), "loss");
            double outputs = task.outputError(torch, batch, training.head);
            assertTrue(outputs <= FORWARD, () -> "outputs " + outputs);
            assertTrue(torch.gradientNorm() > 0.01, "a gradient that small says little");
            gradients.forEach((name, gradient) -> {
                double[] wanted = torch.gradient64(name);
                double size = nothing(task, name) ? torch.gradientNorm() : norm(wanted);
                assertTrue(error(wanted, gradient, size) <= BACKWARD, () -> "gradient of " + name + " is off by " + error(wanted, gradient, size));
            });
        }
    }

    /** A softmax does not feel a shift of all its arguments: these true gradients are 0, what remains is rounding of larger terms. */
    private static boolean nothing(Case task, String name) {
        return name.endsWith("key.bias") || name.equals("qa_outputs.bias") || name.equals("classifier.bias")
                || task == Case.SPAN && name.equals("encoder.layer.1.output.LayerNorm.bias");
    }

    /** Also with dropout: candidates of a question stay together, masks are drawn by row of the effective batch. */
    @ParameterizedTest
    @EnumSource(Case.class)
    void microBatchesAddUpToTheWhole(Case task) {
        try (Training training = new Training(task, 0.2)) {
            PackedBatch whole = training.batch;
            Map<String, float[]> expected = training.gradients(whole);
            int last = whole.examples() - 1;
            Map<String, float[]> actual = training.gradients(whole.select(last, 0), whole.slice(1, last));
            double all = Math.sqrt(expected.values().stream().mapToDouble(g -> dot(g, g)).sum());
            expected.forEach((name, gradient) -> {
                double[] wanted = new double[gradient.length];
                Arrays.setAll(wanted, i -> gradient[i]);
                double size = nothing(task, name) ? all : norm(wanted);
                assertTrue(error(wanted, actual.get(name), size) <= 3e-6, () -> name + " " + error(wanted, actual.get(name), size));
            });
        }
    }

    /** Central differences along random halves of the gradient, with dropout on; see BertGradientTest for the step. */
    @ParameterizedTest
    @EnumSource(Case.class)
    void gradientIsTheDifferenceOfTheLoss(Case task) {
        try (Training training = new Training(task, 0.2)) {
            Map<String, float[]> gradients = training.gradients(training.batch);
            for (int k = 0; k < 3; k++) {
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
                double slope = (moved(training, direction, step) - moved(training, direction, -step)) / (2 * step);
                assertEquals(squares, slope, 1e-3 * squares, "direction " + k);
            }
        }
    }

    /** A question none of whose labels is known has no loss and no gradient; evaluate and backward give the same losses. */
    @ParameterizedTest
    @EnumSource(Case.class)
    void evaluatesTheLossesOfTheBackward(Case task) {
        try (Training training = new Training(task, 0)) {
            training.gradients(training.batch);
            float[] losses = task.losses(training.head);
            training.loss();
            assertEquals(Arrays.toString(losses), Arrays.toString(task.losses(training.head)));
            int width = training.batch.labelWidth();
            for (int i = 0; i < losses.length; i++) {
                assertEquals(training.batch.labels()[i] == PackedBatch.IGNORE || alone(task, training.batch, i / width), losses[i] == 0, "loss " + i + " is " + losses[i]);
            }
        }
    }

    /** Whether there is nothing to choose from: the loss is 0 however the weights are. */
    private static boolean alone(Case task, PackedBatch batch, int example) {
        return task == Case.SPAN ? batch.length(example) == 1 : batch.cuExamples()[example + 1] - batch.cuExamples()[example] == 1;
    }

    private static double moved(Training training, Map<String, float[]> direction, double step) {
        training.values.forEach((name, value) -> {
            float[] moved = value.clone();
            for (int i = 0; i < moved.length; i++) {
                moved[i] += (float) (step * direction.get(name)[i]);
            }
            training.parameters.set(name, moved);
        });
        return training.loss();
    }

    private static double dot(float[] a, float[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += (double) a[i] * b[i];
        }
        return sum;
    }
}
