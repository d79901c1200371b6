package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
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
import org.warpbert.backend.Dtype;
import org.warpbert.memory.Recompute;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/** Activations in memory that gradients of layers below will need change nothing but the bytes that are taken. */
class LentGradientsTest {
    /** Gradients by name of two steps, the second one's of another batch; and under "" the bytes that the model took. */
    private static Map<String, float[]> gradients(Backend backend, TinyBert tiny, int[] lengths, Dtype dtype, PassPlan plan) {
        int frozen = plan.frozenLevels();
        try (Parameters parameters = tiny.parameters(backend, new WeightFormat(dtype, true)); Gradients gradients = new Gradients(backend, new TrainedPart(parameters.table(), frozen))) {
            Map<String, float[]> all = new LinkedHashMap<>();
            long before = backend.allocatedBytes();
            try (BertModel model = new BertModel(backend, tiny.config, parameters, gradients, new ClassificationHead(tiny.classes), plan)) {
                all.put("", new float[] {backend.allocatedBytes() - before});
                for (int step = 0; step < 2; step++) {
                    model.forward(PackedBatch.of(TinyBert.sequences(step, lengths), tiny.labels(2, lengths.length)), 12, step);
                    model.backward(new float[] {1f / lengths.length}, false);
                }
            }
            parameters.table().slices().stream().filter(slice -> slice.level() >= frozen).forEach(slice -> all.put(slice.name(), gradients.get(slice.name())));
            return all;
        }
    }

    /** Of 5 tokens all layers but the lowest fit, of 40 some, of 500 a part of one. */
    @ParameterizedTest(name = "{0} {1} {2} frozen={3} tokens={4}")
    @CsvSource({"cpu, F32, NONE, 0, 5", "cpu, F32, NONE, 0, 40", "cpu, F32, NONE, 0, 500", "cpu, F32, OUTPUTS, 0, 40", "cpu, F32, ATTENTION, 0, 40", "cpu, F32, LAYERS, 0, 40",
        "cpu, F32, NONE, 3, 40", "cpu, F32, OUTPUTS, 3, 40", "cpu, F32, NONE, 6, 40", "simt, BF16, NONE, 0, 40", "simt, F16, OUTPUTS, 2, 40"})
    void gradientsAreThoseOfActivationsWithMemoryOfTheirOwn(String device, Dtype dtype, Recompute recompute, int frozenLevels, int tokens) {
        TinyBert tiny = new TinyBert(64, 2, 96, 5, Activation.GELU, 0.2, 3, 7);
        int[] lengths = new int[(tokens + 19) / 20];
        Arrays.fill(lengths, Math.min(tokens, 20));
        PassPlan own = PassPlan.training(dtype, frozenLevels, device).with(Capacity.of(tokens, lengths.length), recompute);
        PassPlan lent = own.withWhole(own.capacity(), recompute);
        try (Backend backend = Backends.open(device, 2)) {
            Map<String, float[]> expected = gradients(backend, tiny, lengths, dtype, own);
            Map<String, float[]> gradients = gradients(backend, tiny, lengths, dtype, lent);
            float saved = expected.remove("")[0] - gradients.remove("")[0];
            assertEquals(frozenLevels <= 4, saved > 0, "layers above one that is trained borrow");
            expected.forEach((name, gradient) -> assertArrayEquals(gradient, gradients.get(name), name));
        }
    }

    @ParameterizedTest
    @CsvSource({"64, 96, 0", "64, 96, 3", "64, 96, 4", "12, 20, 0", "24, 40, 2", "20, 24, 1", "768, 3072, 0"})
    void whatIsLentEndsBeforeTheLayersOwnGradients(int hidden, int intermediate, int frozenLevels) {
        BertConfig config = BertConfig.ofSizes(53, hidden, 4, 2, intermediate, 40, 2);
        try (Backend backend = Backends.open("cpu", 1); Gradients gradients = new Gradients(backend, new TrainedPart(ClassificationHead.parameters(config, 3), frozenLevels))) {
            long start = gradients.loan().memory().address() + gradients.loan().offset();
            int lowest = Math.max(0, frozenLevels - 1);
            for (int l = lowest; l < 4; l++) {
                long room = gradients.address("encoder.layer." + l + ".attention.self.query.weight") - start;
                long lent = Math.max(0, Gradients.lent(config, l - lowest));
                assertTrue(lent <= Math.max(0, room), "layer " + l + ": " + lent + " of " + room);
                assertTrue(lent >= room - 512 || hidden < 64, "nearly all that there is");
            }
        }
    }

    /** Gaps between matrices stay 0, for the norm runs over them. */
    @Test
    void nothingIsLentWhereThereAreGaps() {
        assertEquals(0, Gradients.lent(BertConfig.ofSizes(53, 10, 4, 2, 20, 40, 2), 3));
        assertTrue(Gradients.lent(BertConfig.ofSizes(53, 12, 4, 2, 20, 40, 2), 3) > 0);
    }

    @Test
    void aPlanForWholeBatchesAddsToNothing() {
        TinyBert tiny = new TinyBert(64, 2, 96, 2, Activation.GELU, 0, 3, 7);
        try (Backend backend = Backends.open("cpu", 1); Parameters parameters = tiny.parameters(backend, new WeightFormat(Dtype.F32, true));
                Gradients gradients = new Gradients(backend, parameters.table());
                BertModel model = new BertModel(backend, tiny.config, parameters, gradients, new ClassificationHead(tiny.classes),
                        PassPlan.training(Dtype.F32, 0, "cpu").withWhole(Capacity.of(9, 1), Recompute.NONE))) {
            model.forward(PackedBatch.of(TinyBert.sequences(1, 9), tiny.labels(2, 1)), 1, 1);
            assertThrows(WarpBertException.class, () -> model.backward(new float[] {1}, true));
        }
    }
}
