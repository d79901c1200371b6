package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Floats;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;

/** The padded layout computes what the packed one does: the same losses and gradients, dropout included. */
class PaddedBatchTest {
    private static final int LENGTH = 23;
    private final TinyBert tiny = new TinyBert(64, 2, 40, 2, Activation.GELU, 0.1, 3, 5);
    private final PackedBatch packed = PackedBatch.of(TinyBert.sequences(9, 7, 1, 17, 23, 4), tiny.labels(3, 5));

    private record Run(float[] losses, float[] hidden, Map<String, float[]> gradients) {}

    private Run run(String device, PackedBatch batch) {
        ClassificationHead head = new ClassificationHead(tiny.classes);
        try (Backend backend = Backends.open(device, 2); Parameters parameters = tiny.parameters(backend);
                Gradients gradients = new Gradients(backend, parameters.table());
                BertModel model = new BertModel(backend, tiny.config, parameters, gradients, head, Capacity.of(batch));
                BertModel encoder = new BertModel(backend, tiny.config, parameters, null, Head.NONE, Capacity.of(batch))) {
            encoder.forward(batch);
            model.forward(batch, 42, 7);
            model.backward(new float[] {0.2f}, false);
            Map<String, float[]> values = new TreeMap<>();
            parameters.shapes().keySet().forEach(name -> values.put(name, gradients.get(name)));
            return new Run(head.losses(), encoder.lastHiddenState(), values);
        }
    }

    /** Sums run over more rows in another order: float32 rounding, some 1e-7 of a gradient's norm for each of a hundred rows. */
    @ParameterizedTest
    @CsvSource({"cpu", "simt"})
    void lossesAndGradientsAreThePackedOnes(String device) {
        Run of = run(device, packed);
        Run padded = run(device, packed.padded(LENGTH, 0));
        assertArrayEquals(of.losses, padded.losses, 1e-5f);
        for (int b = 0; b < packed.sequences(); b++) {
            for (int s = 0; s < packed.length(b); s++) {
                int h = tiny.config.hiddenSize();
                int from = (packed.cuSeqlens()[b] + s) * h;
                int to = (b * LENGTH + s) * h;
                assertArrayEquals(Arrays.copyOfRange(of.hidden, from, from + h), Arrays.copyOfRange(padded.hidden, to, to + h), 2e-5f, "token " + s + " of sequence " + b);
            }
        }
        double norm = Math.sqrt(of.gradients.values().stream().mapToDouble(g -> Math.pow(Floats.norm(g), 2)).sum());
        of.gradients.forEach((name, gradient) ->
                assertTrue(TinyBert.error(Floats.widen(gradient), padded.gradients.get(name), norm) < 1e-5, name));
    }

    @Test
    void whereEverythingGoes() {
        PackedBatch batch = PackedBatch.of(List.of(new Encoded(new int[] {5, 6}, new byte[] {0, 1}, false), new Encoded(new int[] {7}, new byte[1], false)), null);
        PackedBatch padded = batch.padded(3, 9);
        assertArrayEquals(new int[] {5, 6, 9, 7, 9, 9}, padded.tokens());
        assertArrayEquals(new int[] {0, 1, 2, 0, 1, 2}, padded.positions());
        assertArrayEquals(new int[] {0, 1, 0, 0, 0, 0}, padded.segments());
        assertArrayEquals(new int[] {0, 3, 6}, padded.cuSeqlens());
        assertArrayEquals(new byte[] {1, 1, 0, 1, 0, 0}, padded.keyMask());
        assertArrayEquals(new byte[] {1, 0, 0}, padded.select(1).keyMask());
        assertArrayEquals(new byte[] {1, 0, 0, 1, 1, 0}, padded.select(1, 0).keyMask());
        assertEquals(3, padded.maxSeqlen());
        assertEquals(6, padded.totalTokens());
        assertThrows(WarpBertException.class, () -> batch.padded(1, 9));
    }
}
