package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.backend.Floats;
import org.warpbert.memory.Recompute;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/** What is not kept and computed again is what was not kept, to the bit: dropout's masks too. */
class RecomputationTest {
    private static final int[] LENGTHS = {5, 1, 17, 9, 2, 16, 13};

    /** Gradients by name, the losses under "", of a batch in two micro-batches. */
    private static Map<String, float[]> gradients(Backend backend, TinyBert tiny, PackedBatch batch, Dtype dtype, Recompute recompute, int frozenLevels) {
        ClassificationHead head = new ClassificationHead(tiny.classes);
        PassPlan plan = new PassPlan(Capacity.of(50, 5), dtype, true, recompute, frozenLevels, false, false);
        try (Parameters parameters = tiny.parameters(backend, new WeightFormat(dtype, true)); Gradients gradients = new Gradients(backend, new TrainedPart(parameters.table(), frozenLevels));
                BertModel model = new BertModel(backend, tiny.config, parameters, gradients, head, plan)) {
            Map<String, float[]> all = new LinkedHashMap<>();
            model.forward(batch.slice(0, 4), 12, 34);
            model.backward(new float[] {1f / LENGTHS.length}, false);
            all.put("", head.losses());
            model.forward(batch.slice(4, LENGTHS.length), 12, 34);
            model.backward(new float[] {1f / LENGTHS.length}, true);
            parameters.table().slices().stream().filter(slice -> slice.level() >= frozenLevels)
                    .forEach(slice -> all.put(slice.name(), gradients.get(slice.name())));
            return all;
        }
    }

    @ParameterizedTest(name = "{0} layers={1} {2} {3}")
    @CsvSource({"cpu, 4, F32, OUTPUTS", "cpu, 4, F32, ATTENTION", "cpu, 4, F32, LAYERS", "cpu, 1, F32, OUTPUTS", "cpu, 1, F32, ATTENTION",
        "cpu, 1, F32, LAYERS", "simt, 3, F32, OUTPUTS", "simt, 3, F32, ATTENTION", "simt, 3, F32, LAYERS", "simt, 3, BF16, OUTPUTS",
        "simt, 3, F16, ATTENTION", "simt, 3, BF16, LAYERS"})
    void gradientsAreThoseOfAForwardThatKeptAll(String device, int layers, Dtype dtype, Recompute recompute) {
        TinyBert tiny = new TinyBert(64, 2, 96, layers, Activation.GELU, 0.2, 3, 7);
        PackedBatch batch = PackedBatch.of(TinyBert.sequences(1, LENGTHS), tiny.labels(2, LENGTHS.length));
        try (Backend backend = Backends.open(device, 2)) {
            Map<String, float[]> kept = gradients(backend, tiny, batch, dtype, Recompute.NONE, 0);
            Map<String, float[]> again = gradients(backend, tiny, batch, dtype, recompute, 0);
            // a product activates its sums; again, it is done by an op of sums that are bfloat16 by now, each up to 2^-8 away
            boolean rounded = dtype == Dtype.BF16 && recompute.keepsInputs();
            kept.forEach((name, gradient) -> {
                if (rounded && !name.isEmpty()) {
                    double error = Floats.relativeError(Floats.widen(gradient), Floats.widen(again.get(name)), 0);
                    assertTrue(error < 0x1p-8, name + ": " + error);
                } else {
                    assertArrayEquals(gradient, again.get(name), name);
                }
            });
        }
    }

    /** Below the lowest layer that is trained nothing is saved; what is trained has the gradient that it has among all. */
    @ParameterizedTest(name = "{0} {1} {2} frozen={3}")
    @CsvSource({"cpu, F32, NONE, 1", "cpu, F32, NONE, 2", "cpu, F32, NONE, 3", "cpu, F32, OUTPUTS, 3", "cpu, F32, ATTENTION, 3", "cpu, F32, LAYERS, 3",
        "cpu, F32, LAYERS, 4", "cpu, F32, NONE, 5", "cpu, F32, OUTPUTS, 5", "simt, BF16, NONE, 3", "simt, F16, OUTPUTS, 2", "simt, BF16, NONE, 5"})
    void whatIsFrozenChangesNoOtherGradient(String device, Dtype dtype, Recompute recompute, int frozenLevels) {
        TinyBert tiny = new TinyBert(64, 2, 96, 4, Activation.GELU, 0.2, 3, 7);
        PackedBatch batch = PackedBatch.of(TinyBert.sequences(1, LENGTHS), tiny.labels(2, LENGTHS.length));
        try (Backend backend = Backends.open(device, 2)) {
            Map<String, float[]> whole = gradients(backend, tiny, batch, dtype, Recompute.NONE, 0);
            Map<String, float[]> part = gradients(backend, tiny, batch, dtype, recompute, frozenLevels);
            part.forEach((name, gradient) -> assertArrayEquals(whole.get(name), gradient, name));
            int trained = (frozenLevels == 1 ? 4 : 5 - frozenLevels) * 16 + 4; // pooler, classifier; a layer's weights and biases
            assertEquals(1 + trained, part.size(), part.keySet().toString());
        }
    }

    @Test
    void frozenLevelsTakeLess() {
        BertConfig config = BertConfig.ofSizes(30522, 768, 12, 12, 3072, 512, 2);
        for (Recompute level : Recompute.values()) {
            long[] bytes = new long[14];
            for (int frozen = 0; frozen < bytes.length; frozen++) {
                PassPlan plan = new PassPlan(Capacity.of(1000, 4), Dtype.F32, true, level, frozen, false, false);
                bytes[frozen] = BertModel.plannedBytes(config, Head.NONE, plan, "cpu");
                assertTrue(frozen < 2 || bytes[frozen] < bytes[frozen - 1], level + " " + frozen);
            }
            assertEquals(bytes[0], bytes[1], "embeddings have only their output");
        }
    }

    @Test
    void eachLevelTakesLessThanTheOneBefore() {
        BertConfig config = BertConfig.ofSizes(30522, 768, 12, 12, 3072, 512, 2);
        long before = Long.MAX_VALUE;
        for (Recompute level : Recompute.values()) {
            long bytes = BertModel.plannedBytes(config, Head.NONE, new PassPlan(Capacity.of(1000, 4), Dtype.F32, true, level), "cpu");
            assertTrue(bytes < 0.8 * before, level + " takes " + bytes + " bytes, the level before " + before);
            before = bytes;
        }
    }
}
