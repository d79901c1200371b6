package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.model.Parameters;
import org.warpbert.model.TinyBert;
import org.warpbert.reference.TorchBatch;
import org.warpbert.reference.TorchBert;
import org.warpbert.text.Encoded;

class InspectionTest {
    /** As the forward of BertGradientTest: some tens of roundings of 6e-8. */
    private static final double FORWARD = 2e-6;

    @Test
    void everyLayerAndEveryProbabilityIsLibtorchs() {
        TinyBert tiny = new TinyBert(24, 3, 40, 3, Activation.GELU, 0.1, 3, 5);
        Encoded sequence = TinyBert.sequences(1, 17).get(0);
        TorchBatch batch = TinyBert.batch(List.of(sequence));
        List<String> tokens = Collections.nCopies(17, "x");
        try (Backend backend = Backends.open("cpu", 1); Parameters parameters = tiny.parameters(backend); TorchBert torch = tiny.torch()) {
            Inspection inspection = Inspection.of(backend, tiny.config, parameters, sequence, true, line -> {}, tokens);
            assertEquals(4, inspection.hiddenStates().length);
            for (int layer = 0; layer <= 3; layer++) {
                double error = TinyBert.error(torch.hiddenState(batch, layer), flat(inspection.hiddenStates()[layer]));
                assertTrue(error <= FORWARD, "layer " + layer + ": " + error);
            }
            assertEquals(3, inspection.attentions().length);
            for (int layer = 0; layer < 3; layer++) {
                float[][] heads = new float[3][];
                for (int head = 0; head < 3; head++) {
                    heads[head] = flat(inspection.attentions()[layer][head]);
                }
                double error = TinyBert.error(torch.attention(batch, layer), flat(heads));
                assertTrue(error <= FORWARD, "attention of layer " + layer + ": " + error);
            }
            assertNull(Inspection.of(backend, tiny.config, parameters, sequence, false, line -> {}, tokens).attentions());
        }
    }

    private static float[] flat(float[][] rows) {
        float[] all = new float[rows.length * rows[0].length];
        for (int i = 0; i < rows.length; i++) {
            System.arraycopy(rows[i], 0, all, i * rows[0].length, rows[0].length);
        }
        return all;
    }
}
