package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.warpbert.model.TinyBert.error;
import static org.warpbert.model.TinyBert.norm;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.model.HeadTraining;
import org.warpbert.model.TinyBert;
import org.warpbert.reference.TorchBatch;
import org.warpbert.reference.TorchBert;
import org.warpbert.reference.TorchLoss;
import org.warpbert.text.Encoded;
import org.warpbert.text.Instance;
import org.warpbert.text.PackedBatch;

/** The classification head's losses on a whole tiny BERT, forward and backward; tolerances as BertGradientTest has and explains them. */
class SequenceLossTest {
    private static final int[] LENGTHS = {5, 1, 17, 9, 2, 16, 13};
    private static final float NONE = Float.NaN;
    private static final float[] WEIGHTS = {0.25f, 3, 1.5f};
    private static final float[] NUMBERS = {3.5f, -1.25f, 0, 5, NONE, 2.8f, 4.4f};
    private static final float[] SETS = {1, 0, 1, 0, 0, 0, 1, 1, 1, 0, NONE, 1, 1, 0, 0, 0.25f, 1, 0, 0, 0, 1};

    /** A loss, the labels of seven sequences, and what libtorch makes of them. */
    private enum Case {
        WEIGHTED(3, new CrossEntropy(WEIGHTS, 0)) {
            @Override
            double torch(TorchBert torch, TorchBatch batch) {
                return torch.backward(batch, labels(), new TorchLoss(new double[] {0.25, 3, 1.5}, 0, PackedBatch.IGNORE));
            }
        },
        SMOOTHED(3, new CrossEntropy(null, 0.2)) {
            @Override
            double torch(TorchBert torch, TorchBatch batch) {
                return torch.backward(batch, labels(), new TorchLoss(null, 0.2, PackedBatch.IGNORE));
            }
        },
        WEIGHTED_AND_SMOOTHED(3, new CrossEntropy(WEIGHTS, 0.2)) {
            @Override
            double torch(TorchBert torch, TorchBatch batch) {
                return torch.backward(batch, labels(), new TorchLoss(new double[] {0.25, 3, 1.5}, 0.2, PackedBatch.IGNORE));
            }
        },
        NUMBER(1, ElementLoss.SQUARED_ERROR) {
            @Override
            double torch(TorchBert torch, TorchBatch batch) {
                return torch.backwardEach(batch, NUMBERS, false);
            }

            @Override
            int[] labels() {
                return bits(NUMBERS);
            }
        },
        SET(3, ElementLoss.BINARY_CROSS_ENTROPY) {
            @Override
            double torch(TorchBert torch, TorchBatch batch) {
                return torch.backwardEach(batch, SETS, true);
            }

            @Override
            int[] labels() {
                return bits(SETS);
            }
        };

        final int classes;
        final LogitLoss loss;

        Case(int classes, LogitLoss loss) {
            this.classes = classes;
            this.loss = loss;
        }

        int[] labels() {
            return new int[] {0, 1, 1, 2, PackedBatch.IGNORE, 0, 2};
        }

        abstract double torch(TorchBert torch, TorchBatch batch);

        PackedBatch batch(List<Encoded> sequences) {
            int width = labels().length / LENGTHS.length;
            return PackedBatch.of(IntStream.range(0, LENGTHS.length)
                    .mapToObj(b -> Instance.of(sequences.get(b), Arrays.copyOfRange(labels(), b * width, (b + 1) * width))).toList());
        }

        TinyBert tiny(double dropout) {
            return new TinyBert(24, 3, 40, 2, Activation.GELU, dropout, classes, 21);
        }

        HeadTraining training(Backend backend, TinyBert tiny, ClassificationHead head, PackedBatch batch) {
            return new HeadTraining(backend, tiny, ClassificationHead.parameters(tiny.config, classes), head, batch);
        }

        private static int[] bits(float[] values) {
            return IntStream.range(0, values.length).map(i -> Float.floatToRawIntBits(values[i])).toArray();
        }
    }

    @ParameterizedTest
    @CsvSource({"cpu, WEIGHTED", "cpu, SMOOTHED", "cpu, WEIGHTED_AND_SMOOTHED", "cpu, NUMBER", "cpu, SET", "simt, WEIGHTED_AND_SMOOTHED", "simt, NUMBER"})
    void agreesWithAutogradInFloat64(String device, Case task) {
        TinyBert tiny = device.equals("cpu") ? task.tiny(0) : new TinyBert(64, 2, 40, 1, Activation.GELU, 0, task.classes, 21);
        List<Encoded> sequences = TinyBert.sequences(1, LENGTHS);
        PackedBatch packed = task.batch(sequences);
        ClassificationHead head = new ClassificationHead(task.classes, task.loss);
        double allowed = device.equals("cpu") ? 1 : 4; // see TrajectoryTest
        try (Backend backend = Backends.open(device, 2); TorchBert torch = tiny.torch();
                HeadTraining training = task.training(backend, tiny, head, packed)) {
            Map<String, float[]> gradients = training.gradients(packed, packed);
            float[] losses = head.losses();
            TorchBatch batch = TinyBert.batch(sequences);
            double loss = task.torch(torch, batch);
            assertEquals(loss, head.lossSums()[0] / head.normalisers(packed)[0], 2e-6 * allowed * Math.max(1, loss));
            assertEquals(loss, training.loss(packed), 2e-6 * allowed * Math.max(1, loss));
            assertArrayEquals(losses, head.losses(), "evaluated and on the way back");
            assertTrue(torch.gradientNorm() > 0.01, "a small gradient says little");
            gradients.forEach((name, gradient) -> {
                double[] wanted = torch.gradient64(name);
                double size = name.endsWith("key.bias") ? norm(torch.gradient64(name.replace("bias", "weight"))) : norm(wanted);
                assertTrue(error(wanted, gradient, size) <= 1.5e-5 * allowed, () -> name + " is off by " + error(wanted, gradient, size));
            });
        }
    }

    /** Each part is divided by the whole's normaliser: of weights too, and where a part has no label at all. */
    @ParameterizedTest
    @EnumSource(Case.class)
    void microBatchesAddUpToTheWhole(Case task) {
        PackedBatch whole = task.batch(TinyBert.sequences(1, LENGTHS));
        PackedBatch[] parts = {whole.slice(0, 2), whole.select(6, 3), whole.slice(4, 5), whole.select(5, 2)};
        ClassificationHead head = new ClassificationHead(task.classes, task.loss);
        assertEquals(head.normalisers(whole)[0], Arrays.stream(parts).mapToDouble(part -> head.normalisers(part)[0]).sum(), 1e-12);
        try (Backend backend = Backends.open("cpu", 2); HeadTraining training = task.training(backend, task.tiny(0.2), head, whole)) {
            Map<String, float[]> expected = training.gradients(whole, whole);
            Map<String, float[]> actual = training.gradients(whole, parts);
            expected.forEach((name, gradient) -> {
                double[] wanted = new double[gradient.length];
                Arrays.setAll(wanted, i -> gradient[i]);
                double size = name.endsWith("key.bias") ? 1 : norm(wanted); // of rounding alone: see BertGradientTest
                assertTrue(error(wanted, actual.get(name), size) <= 3e-6, () -> name + " " + error(wanted, actual.get(name), size));
            });
        }
    }

    @ParameterizedTest
    @EnumSource(Case.class)
    void gradientWithDropoutIsTheDifferenceOfTheLoss(Case task) {
        PackedBatch batch = task.batch(TinyBert.sequences(1, LENGTHS));
        try (Backend backend = Backends.open("cpu", 2);
                HeadTraining training = task.training(backend, task.tiny(0.2), new ClassificationHead(task.classes, task.loss), batch)) {
            training.checkSlopes(batch, 4, 5e-4);
        }
    }
}
