package org.warpbert.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.model.BertConfig;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Parameters;
import org.warpbert.model.TinyBert;
import org.warpbert.model.TrainedPart;
import org.warpbert.reference.TorchAdamW;
import org.warpbert.reference.TorchBert;
import org.warpbert.reference.TorchLoss;
import org.warpbert.task.ClassificationHead;
import org.warpbert.task.MaskedWordHead;
import org.warpbert.text.Capacity;
import org.warpbert.text.Instance;
import org.warpbert.text.PackedBatch;

/** Training steps with frozen parts and rates of their own, against libtorch with a group for each rate. */
class LayerRatesTest {
    private static final int STEPS = 5;
    private static final int WARMUP = 2;
    private static final int LAYERS = 3;
    private static final double LR = 5e-3;
    private static final double DECAY = 0.1;
    /** Measured: 6.4e-7 of a loss, 3.4e-7 of a norm, 1.9e-7 of a parameter, on both devices; a rate that is a tenth off makes 1e-3. */
    private static final double TOLERANCE = 2e-6;

    private static Hyperparameters hyper(LayerRates rates) {
        return new Hyperparameters(1, 6, 24, LR, WARMUP, DECAY, 1, 0.0, Schedule.CONSTANT, 0, 0, 42, false, rates, Selection.LAST);
    }

    private static PackedBatch batch(TinyBert tiny, int step) {
        return PackedBatch.of(TinyBert.sequences(100 + step, 3, 17, 8, 1 + step, 12, 5), tiny.labels(200 + step, 6));
    }

    /** What the options mean, by parameter names. */
    private static double factor(String name, int frozenLayers, boolean frozenEmbeddings, double decay) {
        if (name.startsWith("embeddings.")) {
            return frozenEmbeddings || frozenLayers > 0 ? 0 : Math.pow(decay, LAYERS + 1);
        }
        for (int l = 0; l < LAYERS; l++) {
            if (name.startsWith("encoder.layer." + l + ".")) {
                return l < frozenLayers ? 0 : Math.pow(decay, LAYERS - l);
            }
        }
        return 1; // pooler, classifier
    }

    /** What is frozen keeps its bits. */
    @ParameterizedTest(name = "{0}: embeddings {1}, layers {2}, decay {3}")
    @CsvSource({"cpu, true, 0, 1", "cpu, false, 2, 1", "cpu, false, 3, 0.5", "cpu, false, 0, 0.7", "cpu, true, 1, 0.7", "simt, false, 1, 0.7"})
    void stepsAreLibtorchs(String device, boolean embeddings, int layers, double decay) {
        TinyBert tiny = new TinyBert(64, 2, 40, LAYERS, Activation.GELU, 0, 3, 11);
        LayerRates rates = new LayerRates(embeddings, layers, decay);
        try (Backend backend = Backends.open(device, 2); Parameters parameters = tiny.parameters(backend);
                Trainer trainer = new Trainer(backend, tiny.config, parameters, new ClassificationHead(3), hyper(rates), STEPS, Capacity.of(60, 6));
                TorchBert torch = tiny.torch(); TorchAdamW adamW = new TorchAdamW(torch, DECAY)) {
            Map<String, float[]> before = new LinkedHashMap<>();
            parameters.shapes().keySet().forEach(name -> before.put(name, parameters.get(name)));
            for (int step = 0; step < STEPS; step++) {
                PackedBatch batch = batch(tiny, step);
                trainer.step(batch);
                Trainer.Result ours = trainer.result();
                double loss = torch.backward(TinyBert.batch(TinyBert.sequences(100 + step, 3, 17, 8, 1 + step, 12, 5)), batch.labels(), TorchLoss.MEAN);
                double norm = adamW.step(LR * Math.min(1, (double) step / WARMUP), 1, name -> factor(name, layers, embeddings, decay));
                assertEquals(loss, ours.loss(), TOLERANCE * loss, "loss of step " + step);
                assertEquals(norm, ours.gradNorm(), TOLERANCE * norm, "norm of step " + step + ", of what is learned alone");
            }
            before.forEach((name, old) -> {
                float[] now = parameters.get(name);
                boolean frozen = factor(name, layers, embeddings, decay) == 0;
                assertEquals(frozen, Arrays.equals(old, now), name);
                float[] theirs = torch.values(name);
                double[] expected = new double[now.length];
                Arrays.setAll(expected, i -> theirs[i]);
                // see TrajectoryTest for the key's bias
                assertTrue(name.endsWith("key.bias") || TinyBert.error(expected, now) <= TOLERANCE, () -> name + " " + TinyBert.error(expected, now));
            });
        }
    }

    /** A decoder that is tied to frozen word embeddings has no gradient either, and the norm is that of what is learned. */
    @Test
    void theNormIsOfWhatIsLearned() {
        TinyBert tiny = new TinyBert(24, 3, 40, LAYERS, Activation.GELU, 0, 3, 11);
        ParameterTable table = MaskedWordHead.parameters(tiny.config, false);
        PackedBatch batch = PackedBatch.of(List.of(Instance.ofTokens(TinyBert.sequences(3, 5).get(0), new int[] {PackedBatch.IGNORE, 7, PackedBatch.IGNORE, 2, 9}),
                Instance.ofTokens(TinyBert.sequences(4, 3).get(0), new int[] {1, PackedBatch.IGNORE, 4})));
        for (LayerRates rates : new LayerRates[] {new LayerRates(true, 0, 1), new LayerRates(false, 2, 1), new LayerRates(false, LAYERS, 1)}) {
            try (Backend backend = Backends.open("cpu", 2); Parameters parameters = Parameters.random(backend, table, 5);
                    Trainer all = trainer(backend, tiny, parameters, LayerRates.EQUAL, batch);
                    Trainer some = trainer(backend, tiny, parameters, rates, batch)) {
                some.step(batch); // at a rate of 0: nothing has been warmed up
                double norm = some.result().gradNorm();
                all.step(batch);
                double squares = 0;
                for (ParameterTable.Slice slice : table.slices()) {
                    if (slice.level() >= rates.frozenLevels()) {
                        float[] expected = all.gradients().get(slice.name());
                        assertArrayEquals(expected, some.gradients().get(slice.name()), slice.name());
                        for (float value : expected) {
                            squares += (double) value * value;
                        }
                    } else {
                        assertTrue(assertThrows(WarpBertException.class, () -> some.gradients().get(slice.name())).getMessage().contains("frozen"));
                    }
                }
                assertEquals(Math.sqrt(squares), norm, 1e-6 * norm);
            }
        }
    }

    private static Trainer trainer(Backend backend, TinyBert tiny, Parameters parameters, LayerRates rates, PackedBatch batch) {
        return new Trainer(backend, tiny.config, parameters, new MaskedWordHead(false, 4), hyper(rates), STEPS, Capacity.of(batch));
    }

    /** Moments in bfloat16 stand where they belong also behind a run of others: one step is float32's but for their rounding. */
    @Test
    void frozenPartsAndMomentsInBfloat16() {
        TinyBert tiny = new TinyBert(64, 2, 40, LAYERS, Activation.GELU, 0, 3, 11);
        LayerRates rates = new LayerRates(false, 2, 1);
        assertEquals(3, new TrainedPart(ClassificationHead.parameters(tiny.config, 3), rates.frozenLevels()).runs().size(), "vectors, products' biases and matrices apart");
        Map<String, float[]> before = new LinkedHashMap<>();
        Map<Dtype, Map<String, float[]>> after = new LinkedHashMap<>();
        for (Dtype moments : new Dtype[] {Dtype.F32, Dtype.BF16}) {
            try (Backend backend = Backends.open("cpu", 2); Parameters parameters = tiny.parameters(backend);
                    Trainer trainer = new Trainer(backend, tiny.config, parameters, new ClassificationHead(3), hyper(rates), STEPS, Capacity.of(60, 6),
                            moments, LossScale.of(Dtype.F32))) {
                parameters.shapes().keySet().forEach(name -> before.put(name, parameters.get(name)));
                for (int step = 0; step < STEPS; step++) {
                    trainer.step(batch(tiny, step));
                }
                Map<String, float[]> values = new LinkedHashMap<>();
                parameters.shapes().keySet().forEach(name -> values.put(name, parameters.get(name)));
                after.put(moments, values);
            }
        }
        after.get(Dtype.F32).forEach((name, exact) -> {
            double moved = 0;
            double off = 0;
            for (int i = 0; i < exact.length; i++) {
                moved += Math.pow(exact[i] - before.get(name)[i], 2);
                off += Math.pow(exact[i] - after.get(Dtype.BF16).get(name)[i], 2);
            }
            assertEquals(factor(name, 2, true, 1) == 0, moved == 0, name);
            // a key's bias has no gradient but rounding, see TrajectoryTest
            assertTrue(name.endsWith("key.bias") || Math.sqrt(off) <= 0.05 * Math.sqrt(moved), name + " " + Math.sqrt(off / moved));
        });
    }

    @Test
    void whatCannotBeIsRefused() {
        assertThrows(WarpBertException.class, () -> new LayerRates(false, -1, 1));
        for (double decay : new double[] {0, -1, 1.01, Double.NaN}) {
            assertTrue(assertThrows(WarpBertException.class, () -> new LayerRates(false, 0, decay)).getMessage().contains("--layer-decay"));
        }
        BertConfig config = new TinyBert(24, 3, 40, LAYERS, Activation.GELU, 0, 3, 11).config;
        new LayerRates(false, LAYERS, 1).check(config);
        assertTrue(assertThrows(WarpBertException.class, () -> new LayerRates(false, LAYERS + 1, 1).check(config)).getMessage().contains("3 layers"));
    }
}
