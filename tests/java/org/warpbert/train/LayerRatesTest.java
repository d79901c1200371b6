package org.warpbert.train;

import java.util.List;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.memory.Arena;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.LossTerm;
import org.warpbert.model.ParameterBuffers;
import org.warpbert.model.Parameters;
import org.warpbert.model.Pass;
import org.warpbert.model.PassPlan;
import org.warpbert.model.TinyBert;
import org.warpbert.reference.TorchAdamW;
import org.warpbert.reference.TorchBert;
import org.warpbert.reference.TorchLoss;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Capacity;
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
                Trainer.Result ours = trainer.step(batch);
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

    /** A decoder tied to the word embeddings writes to their gradient; where they are frozen that counts for nothing. */
    @Test
    void aTiedDecodersGradientIsNotInTheNormOfWhatIsLearned() {
        TinyBert tiny = new TinyBert(24, 3, 40, LAYERS, Activation.GELU, 0, 3, 11);
        double plain = norm(tiny, new ClassificationHead(3), new LayerRates(true, 0, 1));
        assertEquals(plain, norm(tiny, new Tied(new ClassificationHead(3)), new LayerRates(true, 0, 1)));
        assertFalse(norm(tiny, new ClassificationHead(3), LayerRates.EQUAL) == norm(tiny, new Tied(new ClassificationHead(3)), LayerRates.EQUAL));
    }

    private static double norm(TinyBert tiny, Head head, LayerRates rates) {
        try (Backend backend = Backends.open("cpu", 2); Parameters parameters = tiny.parameters(backend);
                Trainer trainer = new Trainer(backend, tiny.config, parameters, head, hyper(rates), STEPS, Capacity.of(60, 6))) {
            float[] before = parameters.get("embeddings.word_embeddings.weight");
            double norm = trainer.step(batch(tiny, 0)).gradNorm();
            if (rates.freezeEmbeddings()) {
                assertArrayEquals(before, parameters.get("embeddings.word_embeddings.weight"));
            }
            return norm;
        }
    }

    /** Adds the encoder's output to the first rows of the word embeddings' gradient, and leaves the rest to another head. */
    private static final class Tied implements Head {
        private final Head head;
        private long words;

        Tied(Head head) {
            this.head = head;
        }

        @Override
        public void plan(Arena arena, BertConfig config, PassPlan plan) {
            head.plan(arena, config, plan);
        }

        @Override
        public void bind(ParameterBuffers buffers) {
            head.bind(buffers);
            words = buffers.gradient("embeddings.word_embeddings.weight");
        }

        @Override
        public void forward(Pass pass) {
            head.forward(pass);
        }

        @Override
        public double[] normalisers(PackedBatch batch) {
            return head.normalisers(batch);
        }

        @Override
        public void backward(Pass pass, float[] gradientScales) {
            pass.backend().copy(words, pass.lastHiddenState(), 20L * pass.config().hiddenSize() * Float.BYTES);
            head.backward(pass, gradientScales);
        }

        @Override
        public List<LossTerm> lossTerms() {
            return head.lossTerms();
        }
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
