package org.warpbert.task;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.Recompute;
import org.warpbert.model.BertModel;
import org.warpbert.model.GradientAndLoss;
import org.warpbert.model.Gradients;
import org.warpbert.model.Head;
import org.warpbert.model.Parameters;
import org.warpbert.model.PassPlan;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/**
 * A batch that is filled up to a size that recurs has the losses and the gradient of the batch as it is, dropout included, whatever the
 * head reads of it: to 1e-6 of the gradient's norm, since who multiplies matrices may cut sums of another length into other parts. Our
 * own ops and products add zeros behind the same parts: no difference was measured.
 */
class FilledBatchTest {
    /** The whole gradient of a batch, and its loss, after a larger one has left its numbers everywhere. */
    private static GradientAndLoss gradient(Backend backend, HeadKind kind, PackedBatch larger, PackedBatch batch, Recompute recompute, boolean filled) {
        PassPlan plan = new PassPlan(Capacity.of(larger), Dtype.F32, true, recompute, 0, false, filled);
        try (Parameters parameters = Parameters.random(backend, kind.table(), 5); Gradients gradients = new Gradients(backend, kind.table());
                BertModel model = new BertModel(backend, HeadKind.CONFIG, parameters, gradients, kind.head, plan)) {
            double[] normalisers = kind.head.normalisers(batch);
            float[] scales = new float[normalisers.length];
            for (int k = 0; k < scales.length; k++) {
                scales[k] = (float) (1 / normalisers[k]);
            }
            for (PackedBatch each : List.of(larger, batch)) {
                model.forward(each, 7, 9);
                model.backward(scales, false);
            }
            return GradientAndLoss.of(parameters, gradients, Head.loss(kind.head.lossSums(), normalisers));
        }
    }

    @ParameterizedTest(name = "{0} {1} {2} padded={3}")
    @CsvSource({"cpu, CLASSES, NONE, false", "cpu, CLASSES, LAYERS, true", "cpu, NUMBERS, NONE, false", "cpu, TAGS, OUTPUTS, false", "cpu, SPAN, NONE, false", "cpu, SPAN, ATTENTION, true",
        "cpu, CHOICE, NONE, false", "cpu, WORDS, LAYERS, false", "simt, CLASSES, LAYERS, false", "simt, SPAN, NONE, true", "simt, WORDS, NONE, false"})
    void fillerTeachesNothing(String device, HeadKind kind, Recompute recompute, boolean padded) {
        PackedBatch larger = padded ? kind.batch().padded(61, 0) : kind.batch();
        PackedBatch batch = larger.slice(0, larger.examples() - 1);
        try (Backend backend = Backends.open(device, 2)) {
            gradient(backend, kind, larger, batch, recompute, false).assertSame(gradient(backend, kind, larger, batch, recompute, true));
        }
    }
}
