package org.warpbert.task;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.Recompute;
import org.warpbert.model.BertConfig;
import org.warpbert.model.BertModel;
import org.warpbert.model.GradientAndLoss;
import org.warpbert.model.Gradients;
import org.warpbert.model.Head;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Parameters;
import org.warpbert.model.PassPlan;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.Instance;
import org.warpbert.text.PackedBatch;

/**
 * A batch that is filled up to a size that recurs has the losses and the gradient of the batch as it is, dropout included, whatever the
 * head reads of it: to 1e-6 of the gradient's norm, since who multiplies matrices may cut sums of another length into other parts. Our
 * own ops and products add zeros behind the same parts: no difference was measured.
 */
class FilledBatchTest {
    private static final int[] LENGTHS = {30, 3, 17, 61, 5, 12};
    private static final int VOCABULARY = 53;
    private static final BertConfig CONFIG = BertConfig.ofSizes(VOCABULARY, 32, 3, 1, 64, 64, 2);

    private enum Kind {
        CLASSES(ClassificationHead.parameters(CONFIG, 3), new ClassificationHead(3)),
        TAGS(TaggingHead.parameters(CONFIG, 3), new TaggingHead(3)),
        SPAN(SpanHead.parameters(CONFIG), new SpanHead()),
        CHOICE(ChoiceHead.parameters(CONFIG), new ChoiceHead()),
        WORDS(MaskedWordHead.parameters(CONFIG, true), new MaskedWordHead(true, 4));

        final ParameterTable table;
        final Head head;

        Kind(ParameterTable table, Head head) {
            this.table = table;
            this.head = head;
        }

        PackedBatch batch() {
            SplittableRandom random = new SplittableRandom(5);
            List<Instance> instances = new ArrayList<>();
            List<Encoded> sequences = new ArrayList<>();
            for (int length : LENGTHS) {
                byte[] segments = new byte[length];
                Arrays.fill(segments, length / 2, length, (byte) 1);
                sequences.add(new Encoded(random.ints(length, 0, VOCABULARY).toArray(), segments, false));
            }
            if (this == CHOICE) {
                return PackedBatch.of(List.of(new Instance(sequences.subList(0, 2), new int[] {1}, null), new Instance(sequences.subList(2, 6), new int[] {2}, null)));
            }
            for (Encoded sequence : sequences) {
                int[] tokens = random.ints(sequence.length(), 0, 3).toArray();
                int last = sequence.length() - 1;
                instances.add(switch (this) {
                    case SPAN -> new Instance(List.of(sequence), new int[] {last / 2, last}, null);
                    case TAGS -> Instance.ofTokens(sequence, tokens);
                    case WORDS -> new Instance(List.of(sequence), new int[] {last % 2}, new int[][] {tokens});
                    default -> Instance.of(sequence, last % 3);
                });
            }
            return PackedBatch.of(instances);
        }
    }

    /** The whole gradient of a batch, and its loss, after a larger one has left its numbers everywhere. */
    private static GradientAndLoss gradient(Backend backend, Kind kind, PackedBatch larger, PackedBatch batch, Recompute recompute, boolean filled) {
        PassPlan plan = new PassPlan(Capacity.of(larger), Dtype.F32, true, recompute, 0, false, filled);
        try (Parameters parameters = Parameters.random(backend, kind.table, 5); Gradients gradients = new Gradients(backend, kind.table);
                BertModel model = new BertModel(backend, CONFIG, parameters, gradients, kind.head, plan)) {
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
    @CsvSource({"cpu, CLASSES, NONE, false", "cpu, CLASSES, LAYERS, true", "cpu, TAGS, OUTPUTS, false", "cpu, SPAN, NONE, false", "cpu, SPAN, ATTENTION, true",
        "cpu, CHOICE, NONE, false", "cpu, WORDS, LAYERS, false", "simt, CLASSES, LAYERS, false", "simt, SPAN, NONE, true", "simt, WORDS, NONE, false"})
    void fillerTeachesNothing(String device, Kind kind, Recompute recompute, boolean padded) {
        PackedBatch larger = padded ? kind.batch().padded(61, 0) : kind.batch();
        PackedBatch batch = larger.slice(0, larger.examples() - 1);
        try (Backend backend = Backends.open(device, 2)) {
            gradient(backend, kind, larger, batch, recompute, false).assertSame(gradient(backend, kind, larger, batch, recompute, true));
        }
    }
}
