package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.warpbert.model.TinyBert.error;
import static org.warpbert.model.TinyBert.norm;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.model.HeadTraining;
import org.warpbert.model.TinyBert;
import org.warpbert.reference.TorchBatch;
import org.warpbert.reference.TorchBert;
import org.warpbert.text.Encoded;
import org.warpbert.text.Instance;
import org.warpbert.text.PackedBatch;

/** The tagging head on a whole tiny BERT, forward and backward; tolerances as BertGradientTest has and explains them. */
class TaggingHeadTest {
    private static final int[] LENGTHS = {5, 1, 17, 9, 2, 16, 13};
    private static final int CLASSES = 5;

    private static TinyBert tiny(int hidden, int heads, double dropout) {
        return new TinyBert(hidden, heads, 40, 2, Activation.GELU, dropout, CLASSES, 21);
    }

    /** A third of the tokens have labels, and in each sequence at least one. */
    private static PackedBatch batch(List<Encoded> sequences) {
        SplittableRandom random = new SplittableRandom(4);
        List<Instance> instances = new ArrayList<>();
        for (Encoded sequence : sequences) {
            int[] labels = new int[sequence.length()];
            Arrays.setAll(labels, i -> random.nextInt(3) == 0 ? random.nextInt(CLASSES) : PackedBatch.IGNORE);
            labels[random.nextInt(labels.length)] = random.nextInt(CLASSES);
            instances.add(Instance.ofTokens(sequence, labels));
        }
        return PackedBatch.of(instances);
    }

    @ParameterizedTest
    @CsvSource({"cpu, 24, 3", "cpu, 33, 3", "simt, 64, 2"})
    void agreesWithAutogradInFloat64(String device, int hidden, int heads) {
        TinyBert tiny = tiny(hidden, heads, 0);
        List<Encoded> sequences = TinyBert.sequences(1, LENGTHS);
        PackedBatch packed = batch(sequences);
        int[] rows = packed.labelledRows();
        assertTrue(rows.length > 15 && rows.length < packed.totalTokens() / 2, rows.length + " labelled rows");
        TorchBatch batch = TinyBert.batch(sequences);
        TaggingHead head = new TaggingHead(CLASSES);
        double allowed = device.equals("cpu") ? 1 : 4; // see TrajectoryTest
        try (Backend backend = Backends.open(device, 2); TorchBert torch = tiny.torch();
                HeadTraining training = new HeadTraining(backend, tiny, TaggingHead.parameters(tiny.config, CLASSES), head, packed)) {
            Map<String, float[]> gradients = training.gradients(packed, packed);
            double[] logits = torch.tokenLogits(batch, rows);
            assertTrue(error(logits, head.logits()) <= 2e-6 * allowed, () -> "logits " + error(logits, head.logits()));
            double loss = torch.backwardTokens(batch, rows, packed.tokenLabels());
            assertEquals(loss, head.lossSums()[0] / rows.length, 2e-6 * allowed * loss);
            assertEquals(loss, training.loss(packed), 2e-6 * allowed * loss);
            assertTrue(torch.gradientNorm() > 0.01, "a small gradient says little");
            assertTrue(gradients.containsKey("classifier.weight") && gradients.keySet().stream().noneMatch(name -> name.startsWith("pooler")));
            gradients.forEach((name, gradient) -> {
                double[] wanted = torch.gradient64(name);
                double size = name.endsWith("key.bias") ? norm(torch.gradient64(name.replace("bias", "weight"))) : norm(wanted);
                assertTrue(error(wanted, gradient, size) <= 1.5e-5 * allowed, () -> name + " is off by " + error(wanted, gradient, size));
            });
        }
    }

    /** Masks are drawn by the token's row in the effective batch, in the head too. */
    @ParameterizedTest
    @CsvSource({"0", "0.2"})
    void microBatchesAddUpToTheWhole(double dropout) {
        TinyBert tiny = tiny(24, 3, dropout);
        PackedBatch whole = batch(TinyBert.sequences(1, LENGTHS));
        try (Backend backend = Backends.open("cpu", 2);
                HeadTraining training = new HeadTraining(backend, tiny, TaggingHead.parameters(tiny.config, CLASSES), new TaggingHead(CLASSES), whole)) {
            Map<String, float[]> expected = training.gradients(whole, whole);
            Map<String, float[]> actual = training.gradients(whole, whole.slice(0, 2), whole.select(6, 3), whole.slice(4, 6), whole.select(2));
            expected.forEach((name, gradient) -> {
                double[] wanted = new double[gradient.length];
                Arrays.setAll(wanted, i -> gradient[i]);
                double size = name.endsWith("key.bias") ? 1 : norm(wanted); // of rounding alone: see BertGradientTest
                assertTrue(error(wanted, actual.get(name), size) <= 3e-6, () -> name + " " + error(wanted, actual.get(name), size));
            });
        }
    }

    @Test
    void gradientWithDropoutIsTheDifferenceOfTheLoss() {
        TinyBert tiny = tiny(24, 3, 0.2);
        PackedBatch batch = batch(TinyBert.sequences(1, LENGTHS));
        try (Backend backend = Backends.open("cpu", 2);
                HeadTraining training = new HeadTraining(backend, tiny, TaggingHead.parameters(tiny.config, CLASSES), new TaggingHead(CLASSES), batch)) {
            training.checkSlopes(batch, 4, 5e-4);
        }
    }
}
