package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
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
import org.warpbert.memory.Recompute;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/** What is not kept and computed again is what was not kept, to the bit: dropout's masks too. */
class RecomputationTest {
    private static final int[] LENGTHS = {5, 1, 17, 9, 2, 16, 13};

    /** Gradients by name, the losses under "", of a batch in two micro-batches. */
    private static Map<String, float[]> gradients(Backend backend, TinyBert tiny, PackedBatch batch, Dtype dtype, Recompute recompute) {
        ClassificationHead head = new ClassificationHead(tiny.classes);
        PassPlan plan = new PassPlan(Capacity.of(50, 5), dtype, true, recompute);
        try (Parameters parameters = tiny.parameters(backend, new WeightFormat(dtype, true)); Gradients gradients = new Gradients(backend, parameters.table());
                BertModel model = new BertModel(backend, tiny.config, parameters, gradients, head, plan)) {
            Map<String, float[]> all = new LinkedHashMap<>();
            model.forward(batch.slice(0, 4), 12, 34);
            model.backward(new float[] {1f / LENGTHS.length}, false);
            all.put("", head.losses());
            model.forward(batch.slice(4, LENGTHS.length), 12, 34);
            model.backward(new float[] {1f / LENGTHS.length}, true);
            parameters.shapes().keySet().forEach(name -> all.put(name, gradients.get(name)));
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
            Map<String, float[]> kept = gradients(backend, tiny, batch, dtype, Recompute.NONE);
            Map<String, float[]> again = gradients(backend, tiny, batch, dtype, recompute);
            kept.forEach((name, gradient) -> assertArrayEquals(gradient, again.get(name), name));
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
