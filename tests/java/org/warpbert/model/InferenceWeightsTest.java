package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.backend.OutOfDeviceMemory;
import org.warpbert.backend.Precision;
import org.warpbert.format.TensorSource;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/** Weights kept for inference alone may be rearranged for products: nobody may be able to tell but by the time. */
class InferenceWeightsTest {
    private static final WeightFormat INFERENCE = new WeightFormat(Dtype.F32, false);

    /** Whole panels of 48 rows, and sizes that leave rows over: query, key and value are one matrix of 3 H rows. */
    @ParameterizedTest
    @ValueSource(ints = {48, 32, 64, 16})
    void theSameBitsAsWeightsThatMayBeTrained(int hidden) {
        TinyBert tiny = new TinyBert(hidden, 4, 2 * hidden + 8, 3, Activation.GELU, 0, 2, 5);
        PackedBatch batch = PackedBatch.of(TinyBert.sequences(1, 7, 20, 1, 13), new int[4]);
        try (Backend backend = Backends.open("cpu", 2); Parameters trained = tiny.parameters(backend); Parameters kept = tiny.parameters(backend, INFERENCE)) {
            float[] expected = states(backend, tiny, trained, batch);
            assertArrayEquals(expected, states(backend, tiny, kept, batch), "the first model of these weights");
            assertArrayEquals(expected, states(backend, tiny, kept, batch), "and the second");
        }
    }

    /** What no longer stands where its name says is neither read, nor set, written or trained. */
    @Test
    void onceAModelIsMadeTheyAreItsOwn() {
        TinyBert tiny = new TinyBert(32, 4, 64, 2, Activation.GELU, 0, 2, 5);
        String matrix = "encoder.layer.1.attention.self.key.weight";
        try (Backend backend = Backends.open("cpu", 1); Parameters kept = tiny.parameters(backend, INFERENCE); Gradients gradients = new Gradients(backend, kept.table())) {
            assertThrows(WarpBertException.class, () -> kept.buffers(gradients), "they have not been kept for training");
            float[] before = kept.get(matrix);
            boolean packs = kept.buffers(null).packed();
            assertEquals(backend.gemm().describe().contains("own"), packs);
            assertEquals(tiny.config.hiddenSize(), kept.get("encoder.layer.1.output.LayerNorm.weight").length);
            if (packs) {
                WarpBertException refused = assertThrows(WarpBertException.class, () -> kept.get(matrix));
                assertTrue(refused.getMessage().startsWith(matrix), refused.getMessage());
                assertThrows(WarpBertException.class, () -> kept.set(matrix, before));
                assertThrows(WarpBertException.class, () -> kept.host(matrix));
            } else {
                assertArrayEquals(before, kept.get(matrix));
            }
        }
    }

    /** Several models may share weights, and outlive them: then none reads what is another's memory by now. */
    @Test
    void closedWeightsAreNotRead() {
        TinyBert tiny = new TinyBert(32, 4, 64, 2, Activation.GELU, 0, 2, 5);
        PackedBatch batch = PackedBatch.of(TinyBert.sequences(1, 7, 20, 1, 13), new int[4]);
        try (Backend backend = Backends.open("cpu", 1); Parameters weights = tiny.parameters(backend); Gradients gradients = new Gradients(backend, weights.table());
                BertModel model = new BertModel(backend, tiny.config, weights, gradients, new ClassificationHead(2), Capacity.of(batch))) {
            model.forward(batch);
            weights.close();
            for (Executable use : List.<Executable>of(() -> model.forward(batch), model::evaluate, () -> model.backward(new float[] {1}, false))) {
                assertEquals("the memory of the weights is used after it was closed", assertThrows(WarpBertException.class, use).getMessage());
            }
        }
    }

    /** What no one expects (a full heap, say) gives the memory back as well. */
    @Test
    void anErrorWhileReadingLeavesNothingHeld() {
        TinyBert tiny = new TinyBert(32, 4, 64, 2, Activation.GELU, 0, 2, 5);
        try (Backend backend = Backends.open("cpu", 1); Parameters whole = tiny.parameters(backend)) {
            long before = backend.allocatedBytes();
            TensorSource source = new TensorSource() {
                @Override
                public Map<String, long[]> shapes() {
                    return whole.shapes();
                }

                @Override
                public void read(String name, FloatBuffer dst) {
                    throw new OutOfMemoryError("Java heap space");
                }

                @Override
                public String location() {
                    return "here";
                }

                @Override
                public void close() {}
            };
            assertThrows(OutOfMemoryError.class, () -> Parameters.load(backend, whole.table(), source, INFERENCE, 1, new ArrayList<>()));
            assertEquals(before, backend.allocatedBytes());
        }
    }

    /** A device that refuses: each of the requests for weights in 16 bits that are fresh in turn, the host's block among them. */
    @Test
    void aRefusalLeavesNothingHeld() {
        TinyBert tiny = new TinyBert(32, 4, 64, 2, Activation.GELU, 0, 2, 5);
        ParameterTable table = ClassificationHead.parameters(tiny.config, 2);
        WeightFormat format = new WeightFormat(Dtype.BF16, false);
        int refused = 0;
        for (boolean done = false; !done; ) {
            System.setProperty("warpbert.fail-alloc", Integer.toString(refused + 1));
            try (Backend backend = Backends.open("simt", 1, Precision.BF16)) {
                try (Parameters fresh = Parameters.random(backend, table, format, 1)) {
                    done = true;
                } catch (OutOfDeviceMemory e) {
                    assertEquals(0, backend.allocatedBytes(), e.getMessage());
                    refused++;
                }
            } finally {
                System.clearProperty("warpbert.fail-alloc");
            }
        }
        assertTrue(refused > 3, refused + ": the floats, the operands, the host's block, a matrix on its way");
    }

    private static float[] states(Backend backend, TinyBert tiny, Parameters parameters, PackedBatch batch) {
        try (BertModel model = new BertModel(backend, tiny.config, parameters, null, Head.NONE, Capacity.of(batch))) {
            model.forward(batch);
            return model.lastHiddenState();
        }
    }
}
