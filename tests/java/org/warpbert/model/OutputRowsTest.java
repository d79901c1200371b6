package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.Dtype;
import org.warpbert.backend.Floats;
import org.warpbert.memory.Recompute;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.Instance;
import org.warpbert.text.PackedBatch;

/** A last layer that goes on with the rows its head reads alone, beside one that computes all: the same states and gradients. */
class OutputRowsTest {
    private static final int LAYERS = 3;
    private static final TinyBert TINY = new TinyBert(64, 2, 40, LAYERS, Activation.GELU, 0.2, 3, 7);
    private static final int HIDDEN = TINY.config.hiddenSize();

    /** The rows of a batch that are read. */
    private static int[] of(PackedBatch batch, OutputRows rows) {
        IntStream labelled = rows.labelled() ? Arrays.stream(batch.labelledRows()) : IntStream.empty();
        IntStream first = rows.first() ? Arrays.stream(batch.cuSeqlens()).limit(batch.sequences()) : IntStream.empty();
        return IntStream.concat(labelled, first).toArray();
    }

    /** No layers: each row that is read has a gradient of its own, drawn by what it is. */
    private static final class Upstream extends NoLayers {
        private final OutputRows read;
        private final boolean all;
        private PackedBatch batch;

        /** @param all whether the encoder is asked for all rows, of which others than those read get no gradient */
        Upstream(OutputRows read, boolean all) {
            super(all ? OutputRows.ALL : read);
            this.read = read;
            this.all = all;
        }

        @Override
        public void forward(Pass pass) {
            assertEquals(all ? batch.totalTokens() : of(batch, read).length, pass.outputRows());
        }

        @Override
        public void backward(Pass pass, float[] gradientScales) {
            int[] rows = of(batch, read);
            float[] gradient = new float[pass.outputRows() * HIDDEN];
            SplittableRandom random = new SplittableRandom(5);
            for (int n = 0; n < rows.length; n++) {
                for (int h = 0; h < HIDDEN; h++) {
                    gradient[(all ? rows[n] : n) * HIDDEN + h] = gradientScales[0] * (float) random.nextDouble(-1, 1);
                }
            }
            if (gradient.length > 0) {
                try (DeviceMemory memory = pass.backend().allocate("the gradient", gradient.length * 4L)) {
                    memory.upload(gradient);
                    pass.backend().cast(pass.lastHiddenStateGradient(), pass.dtype(), memory.address(), Dtype.F32, gradient.length);
                    pass.backend().synchronize();
                }
            }
        }

        /** Of all states [T, H], or of those read, the latter. */
        float[] states(float[] states) {
            return all ? TINY.rows(states, of(batch, read)) : states;
        }
    }

    /** Of each sequence every third token has a label, though never the first; of those of one token or two none. */
    private static PackedBatch batch(int seed, int... lengths) {
        List<Instance> instances = new ArrayList<>();
        for (Encoded sequence : TinyBert.sequences(seed, lengths)) {
            instances.add(Instance.ofTokens(sequence, IntStream.range(0, sequence.length()).map(t -> t % 3 == 2 ? t % 2 : PackedBatch.IGNORE).toArray()));
        }
        return PackedBatch.of(instances);
    }

    private record Run(List<float[]> states, Map<String, float[]> gradients) {}

    /** Three steps' forwards, and the gradients that the last one's backwards add up to; where there are graphs, that is of graphs alone. */
    private static Run run(String device, PassPlan plan, Upstream upstream) {
        List<PackedBatch> parts = List.of(batch(1, 7, 1, 17, 9), batch(2, 2, 1, 1), batch(3, 5, 13).padded(13, 0), batch(4, 22, 20, 22, 16));
        List<float[]> states = new ArrayList<>();
        Map<String, float[]> values = new TreeMap<>();
        try (Backend backend = Backends.open(device, 2); Parameters parameters = TINY.parameters(backend, new WeightFormat(plan.dtype(), plan.training()));
                Gradients gradients = plan.training() ? new Gradients(backend, new TrainedPart(parameters.table(), plan.frozenLevels())) : null;
                BertModel model = new BertModel(backend, TINY.config, parameters, gradients, upstream, plan)) {
            for (int step = 0; step < 3; step++) {
                for (int i = 0; i < parts.size(); i++) {
                    upstream.batch = parts.get(i);
                    model.forward(parts.get(i), 12, step);
                    states.add(upstream.states(model.lastHiddenState()));
                    if (plan.training()) {
                        model.backward(new float[] {1}, i > 0);
                    }
                }
            }
            if (plan.training()) {
                parameters.table().slices().stream().filter(slice -> slice.level() >= plan.frozenLevels() && slice.level() <= LAYERS)
                        .forEach(slice -> values.put(slice.name(), gradients.get(slice.name())));
            }
            return new Run(states, values);
        }
    }

    /** Sums over fewer rows are of the same terms but zeros, though perhaps in another order. */
    @ParameterizedTest(name = "{0} {1} {2} frozen={3} filled={4} {5}")
    @CsvSource({"cpu, F32, NONE, 0, false, FIRST", "cpu, F32, NONE, 0, false, LABELLED", "cpu, F32, NONE, 0, false, LABELLED_AND_FIRST",
        "cpu, F32, OUTPUTS, 0, false, FIRST", "cpu, F32, ATTENTION, 0, false, LABELLED", "cpu, F32, LAYERS, 0, false, LABELLED_AND_FIRST",
        "cpu, F32, NONE, 2, false, FIRST", "cpu, F32, LAYERS, 3, false, LABELLED", "cpu, F32, NONE, 4, false, LABELLED_AND_FIRST",
        "cpu, F32, OUTPUTS, 0, true, LABELLED", "simt, F32, NONE, 0, true, FIRST", "simt, BF16, ATTENTION, 0, true, LABELLED_AND_FIRST",
        "simt, F16, LAYERS, 1, true, LABELLED", "simt, BF16, OUTPUTS, 3, true, LABELLED_AND_FIRST", "simt, F32, NONE, 4, true, FIRST"})
    void fewerRowsComeToTheSame(String device, Dtype dtype, Recompute recompute, int frozenLevels, boolean filled, OutputRows rows) {
        PassPlan plan = new PassPlan(new Capacity(90, 4, 4, 0, 30), dtype, true, recompute, frozenLevels, false, filled);
        Run few = run(device, plan, new Upstream(rows, false));
        Run all = run(device, plan, new Upstream(rows, true));
        for (int i = 0; i < all.states.size(); i++) {
            assertArrayEquals(all.states.get(i), few.states.get(i), "batch " + i);
        }
        assertEquals(frozenLevels > LAYERS, few.gradients.isEmpty());
        all.gradients.forEach((name, gradient) -> {
            double norm = Floats.norm(gradient);
            for (int i = 0; i < gradient.length; i++) {
                assertEquals(gradient[i], few.gradients.get(name)[i], 1e-6 * norm, name + "[" + i + "]");
            }
        });
    }

    @ParameterizedTest
    @CsvSource({"cpu, F32, FIRST", "cpu, F32, LABELLED", "simt, BF16, LABELLED_AND_FIRST", "simt, F16, FIRST"})
    void inferenceComesToTheSame(String device, Dtype dtype, OutputRows rows) {
        PassPlan plan = new PassPlan(new Capacity(90, 4, 4, 0, 30), dtype, false, Recompute.NONE, 0, false, device.equals("simt"));
        List<float[]> few = run(device, plan, new Upstream(rows, false)).states;
        List<float[]> all = run(device, plan, new Upstream(rows, true)).states;
        for (int i = 0; i < all.size(); i++) {
            assertArrayEquals(all.get(i), few.get(i), "batch " + i);
        }
    }

    /** Rows that are filled up, and zeros there; what a batch has beyond the sizes of its kind is none of the shape's. */
    @Test
    void shapesCountTheRowsRead() {
        PackedBatch batch = batch(1, 7, 1, 17, 9); // 2 + 0 + 5 + 3 labelled
        assertEquals(0, new EncoderShape().set(batch, false, OutputRows.ALL).selected());
        assertEquals(4, new EncoderShape().set(batch, false, OutputRows.FIRST).selected());
        assertEquals(10, new EncoderShape().set(batch, false, OutputRows.LABELLED).selected());
        assertEquals(14, new EncoderShape().set(batch, false, OutputRows.LABELLED_AND_FIRST).selected());
        assertEquals(0, new EncoderShape().set(batch, true, OutputRows.ALL).selected());
        assertEquals(8, new EncoderShape().set(batch, true, OutputRows.FIRST).selected());
        assertEquals(64, new EncoderShape().set(batch, true, OutputRows.LABELLED).selected());
        assertEquals(72, new EncoderShape().set(batch, true, OutputRows.LABELLED_AND_FIRST).selected());
    }

    /** The last layer's activations are of the rows read: for one of B sequences, about B / T of the others'. */
    @Test
    void theLastLayerTakesLess() {
        PassPlan plan = new PassPlan(Capacity.of(512, 4), Dtype.F32, true);
        long all = BertModel.plannedBytes(TINY.config, new Upstream(OutputRows.FIRST, true), plan, "cpu");
        long few = BertModel.plannedBytes(TINY.config, new Upstream(OutputRows.FIRST, false), plan, "cpu");
        long layer = 4L * (512 - 4) * (4 * 64 + 2 * 40 + 4); // both sums and outputs, the feed-forward's inside, statistics
        assertTrue(all - few > layer - 8 * 1024 && all - few < layer, () -> (all - few) + " of " + layer);
    }

    @Test
    void observersNeedAllRows() {
        try (Backend backend = Backends.open("cpu", 1); Parameters parameters = TINY.parameters(backend);
                BertModel model = new BertModel(backend, TINY.config, parameters, null, new Upstream(OutputRows.FIRST, false), Capacity.of(20, 2))) {
            assertThrows(WarpBertException.class, () -> model.observe((layer, states, qkv) -> {}));
        }
    }
}
