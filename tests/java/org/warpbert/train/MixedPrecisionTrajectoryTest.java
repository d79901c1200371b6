package org.warpbert.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.CpuBf16;
import org.warpbert.backend.Dtype;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Parameters;
import org.warpbert.model.TinyBert;
import org.warpbert.model.WeightFormat;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.Example;
import org.warpbert.text.Examples;
import org.warpbert.text.PackedBatch;
import org.warpbert.text.TestData;
import org.warpbert.text.TextTable;

/** Training in 16 bits on the CUDA kernels under simt, and in the CPU's bf16: 100 steps beside float32's, and what a float16 overflow does. */
class MixedPrecisionTrajectoryTest {
    private static final int STEPS = 100;
    private static final int BATCH = 8;
    private static final int WORDS = 211;
    private static final double SMOOTHING = 0.05;

    /** CoLA's sentences, every 37th, six batches of them, with a word's hash for its number. */
    private static List<PackedBatch> cola() {
        List<Example> rows;
        try (TextTable table = TextTable.open(TestData.shared("cola/in_domain_train.tsv"), TextTable.Options.DEFAULT.withoutHeader())) {
            rows = Examples.read(table, "3", null, "1").rows();
        }
        List<PackedBatch> batches = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            List<Encoded> texts = new ArrayList<>();
            int[] labels = new int[BATCH];
            for (int j = 0; j < BATCH; j++) {
                Example row = rows.get((i * BATCH + j) * 37);
                int[] tokens = Arrays.stream(("[CLS] " + row.text()).split(" ")).limit(32).mapToInt(word -> Math.floorMod(word.hashCode(), WORDS)).toArray();
                texts.add(new Encoded(tokens, new byte[tokens.length], false));
                labels[j] = Integer.parseInt(row.label());
            }
            batches.add(PackedBatch.of(texts, labels));
        }
        return batches;
    }

    /** The loss, smoothed, of every step. */
    private static double[] run(String device, Dtype dtype, Dtype moments, List<PackedBatch> data) {
        try (Backend backend = Backends.open(device, 1)) {
            return run(backend, dtype, moments, data);
        }
    }

    private static double[] run(Backend backend, Dtype dtype, Dtype moments, List<PackedBatch> data) {
        BertConfig config = BertConfig.ofSizes(WORDS, 32, 2, 1, 64, 32, 2);
        Hyperparameters hyper = new Hyperparameters(1, BATCH, 32, 1e-3, 10, 0.01, 1, 0.0, Schedule.LINEAR, 0, 0, 42, false);
        int tokens = data.stream().mapToInt(PackedBatch::totalTokens).max().orElseThrow();
        try (Parameters parameters = Parameters.random(backend, ClassificationHead.parameters(config, 2), new WeightFormat(dtype, true), 2);
                Trainer trainer = new Trainer(backend, config, parameters, new ClassificationHead(2), hyper, STEPS, Capacity.of(tokens, BATCH),
                        moments, LossScale.of(dtype))) {
            double[] smoothed = new double[STEPS];
            double sum = 0;
            double weight = 0;
            for (int step = 0; step < STEPS; step++) {
                trainer.step(data.get(step % data.size()));
                Trainer.Result result = trainer.result();
                assertFalse(result.skipped());
                assertEquals(dtype == Dtype.F16 ? 65_536 : 1, result.lossScale());
                sum += SMOOTHING * (result.loss() - sum);
                weight += SMOOTHING * (1 - weight);
                smoothed[step] = sum / weight;
            }
            return smoothed;
        }
    }

    /**
     * Measured: 5e-4 in float16 and 3e-4 in bfloat16; with two other seeds up to 4e-3 in bfloat16. The bound is of this learning
     * rate: at three times of it bfloat16 was off by up to 9e-3, at ten times float16 by 2e-2, where the loss falls to 0.02.
     */
    @ParameterizedTest
    @EnumSource(names = {"F16", "BF16"})
    void staysWithinAHundredthOfFloat32(Dtype dtype) {
        List<PackedBatch> data = cola();
        double[] exact = run("cpu", Dtype.F32, Dtype.F32, data);
        double[] rounded = run("simt", dtype, Dtype.F32, data);
        assertTrue(exact[STEPS - 1] < 0.9 * exact[0], "something is learnt: " + exact[0] + " to " + exact[STEPS - 1]);
        double worst = worst(exact, rounded);
        assertTrue(worst <= 0.01, "the smoothed loss is off by " + worst);
        assertTrue(worst > 1e-5, "that was not computed in 16 bits");
    }

    /** Products alone in bfloat16, on the CPU. Measured: 8e-4. */
    @Test
    void productsInBfloat16StayWithinAHundredthToo() {
        try (Backend backend = CpuBf16.open(2)) {
            List<PackedBatch> data = cola();
            double[] rounded = run(backend, backend.dtype(), Dtype.F32, data);
            double worst = worst(run("cpu", Dtype.F32, Dtype.F32, data), rounded);
            assertTrue(worst <= 0.01, "the smoothed loss is off by " + worst);
            assertTrue(worst > 1e-5, "that was not computed in bfloat16");
            try (Backend alone = CpuBf16.open(1)) {
                assertArrayEquals(rounded, run(alone, alone.dtype(), Dtype.F32, data), "on one thread");
            }
        }
    }

    /** Float32 with moments in bfloat16, rounded by chance. Measured: 7e-4. */
    @Test
    void momentsInBfloat16StayWithinAHundredthToo() {
        List<PackedBatch> data = cola();
        double worst = worst(run("cpu", Dtype.F32, Dtype.F32, data), run("cpu", Dtype.F32, Dtype.BF16, data));
        assertTrue(worst <= 0.01, "the smoothed loss is off by " + worst);
        assertTrue(worst > 1e-6, "these moments were not rounded");
    }

    private static double worst(double[] exact, double[] rounded) {
        double worst = 0;
        for (int step = 0; step < STEPS; step++) {
            worst = Math.max(worst, Math.abs(rounded[step] / exact[step] - 1));
        }
        return worst;
    }

    private static final int PATIENCE = 3;

    /** A tiny trainer in float16 that starts at a scale. */
    private static final class Scaled implements AutoCloseable {
        private final TinyBert tiny = new TinyBert(32, 1, 40, 1, Activation.GELU, 0, 3, 11);
        private final PackedBatch batch = PackedBatch.of(TinyBert.sequences(1, 3, 9, 5), new int[] {0, 2, 1});
        private final Backend backend = Backends.open("simt", 1);
        private final Parameters parameters = tiny.parameters(backend, new WeightFormat(Dtype.F16, true));
        private final Trainer trainer;

        Scaled(float start, Schedule schedule) {
            Hyperparameters hyper = new Hyperparameters(1, 3, 24, 1e-3, 0, 0.01, 1, 0.0, schedule, 0, 0, 42, false);
            trainer = new Trainer(backend, tiny.config, parameters, new ClassificationHead(3), hyper, 100, Capacity.of(20, 3), Dtype.F32, LossScale.dynamic(start, PATIENCE));
        }

        Trainer.Result step() {
            trainer.step(batch);
            return trainer.result();
        }

        Map<String, float[]> weights() {
            Map<String, float[]> values = new LinkedHashMap<>();
            parameters.shapes().keySet().forEach(name -> values.put(name, parameters.get(name)));
            return values;
        }

        @Override
        public void close() {
            trainer.close();
            parameters.close();
            backend.close();
        }
    }

    private static void assertSame(Map<String, float[]> expected, Map<String, float[]> actual) {
        expected.forEach((name, values) -> assertArrayEquals(values, actual.get(name), name));
    }

    /** What follows skipped steps is to the bit what it is without them: they count for nothing in Adam's bias correction. */
    @Test
    void anOverflowHalvesTheScaleSkipsTheStepAndIsForgotten() {
        try (Scaled run = new Scaled(0x1p22f, Schedule.CONSTANT)) {
            Map<String, float[]> before = run.weights();
            float scale = 0x1p22f;
            Trainer.Result result = run.step();
            assertTrue(result.skipped(), "2^22 times a gradient of about 1 / 3 is beyond float16");
            while (result.skipped()) {
                assertEquals(scale, result.lossScale());
                assertTrue(Double.isFinite(result.loss()), "the forward did not overflow");
                assertSame(before, run.weights());
                scale /= 2;
                result = run.step();
            }
            assertEquals(scale, result.lossScale());
            assertFalse(Arrays.equals(before.get("pooler.dense.weight"), run.weights().get("pooler.dense.weight")), "and then it learns");
            try (Scaled clean = new Scaled(scale, Schedule.CONSTANT)) {
                assertEquals(clean.step(), result);
                assertSame(clean.weights(), run.weights());
            }
            for (int good = 1; good < PATIENCE; good++) {
                assertEquals(scale, run.step().lossScale());
            }
            assertEquals(2 * scale, run.step().lossScale(), "after " + PATIENCE + " good steps");
        }
    }

    /** The schedule goes by batches, as PyTorch's scripts have it: it ends at 0 however many steps were skipped. */
    @Test
    void theScheduleGoesOnThroughSkippedSteps() {
        try (Scaled run = new Scaled(0x1p20f, Schedule.LINEAR)) {
            int skipped = 0;
            for (int step = 0; step < 6; step++) {
                Trainer.Result result = run.step();
                assertEquals(1e-3 * (100 - step) / 100, result.lr(), 1e-12);
                skipped += result.skipped() ? 1 : 0;
            }
            assertTrue(skipped > 0 && skipped < 6, skipped + " were skipped");
        }
    }
}
