package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.FixedOverhead;
import org.warpbert.memory.Recompute;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/** Forwards and backwards that are launched as graphs, under simt, beside the same asked for op by op. */
class TrainingGraphTest {
    private static final String GRAPHS = "warpbert.graphs";
    private static final TinyBert TINY = new TinyBert(32, 1, 40, 2, Activation.GELU, 0.2, 3, 7);
    private static final Capacity CAPACITY = Capacity.of(70, 5);

    @AfterEach
    void asBefore() {
        System.clearProperty(GRAPHS);
    }

    private static PackedBatch batch(int seed, int... lengths) {
        return PackedBatch.of(TinyBert.sequences(seed, lengths), TINY.labels(seed, lengths.length));
    }

    /** What steps leave behind, and the graphs that were held at the end. */
    private record Run(List<float[]> results, int graphs) {}

    /** Losses and gradients of steps, one after the other, of a micro-batch each or of several that add up. */
    private static Run run(PassPlan plan, List<List<PackedBatch>> steps) {
        List<float[]> results = new ArrayList<>();
        try (Backend backend = Backends.open("simt", 1); Parameters parameters = TINY.parameters(backend, new WeightFormat(plan.dtype(), true));
                Gradients gradients = new Gradients(backend, new TrainedPart(parameters.table(), plan.frozenLevels()))) {
            ClassificationHead head = new ClassificationHead(TINY.classes);
            try (BertModel model = new BertModel(backend, TINY.config, parameters, gradients, head, plan)) {
                for (int step = 0; step < steps.size(); step++) {
                    for (int part = 0; part < steps.get(step).size(); part++) {
                        model.forward(steps.get(step).get(part), 12, step);
                        model.backward(new float[] {0.25f + step}, part > 0);
                        results.add(head.losses());
                    }
                    parameters.table().slices().stream().filter(slice -> slice.level() >= plan.frozenLevels())
                            .forEach(slice -> results.add(gradients.get(slice.name())));
                }
                return new Run(results, model.graphs());
            }
        }
    }

    /** Dropout's step and the loss's scale are new at every step, as is every word. */
    @ParameterizedTest(name = "{0} {1} filled={2} frozen={3}")
    @CsvSource({"F32, NONE, true, 0", "F32, OUTPUTS, true, 0", "F32, ATTENTION, true, 0", "F32, LAYERS, true, 0", "BF16, NONE, true, 0",
        "BF16, ATTENTION, true, 0", "BF16, LAYERS, true, 0", "F16, NONE, true, 0", "F32, NONE, false, 0", "BF16, LAYERS, false, 0",
        "F32, OUTPUTS, true, 1", "F32, LAYERS, true, 2", "F32, NONE, true, 3"})
    void replaysHaveTheBitsOfEagerSteps(Dtype dtype, Recompute recompute, boolean filled, int frozenLevels) {
        List<List<PackedBatch>> steps = new ArrayList<>();
        for (int round = 0; round < 3; round++) {
            steps.add(List.of(batch(10 + round, 7, 5), batch(20 + round, 9, 3))); // of one shape: the second's backward adds
            steps.add(List.of(batch(30 + round, 24, 24, 18), batch(40 + round, 12))); // filler of 62 tokens and of 52
            steps.add(List.of(batch(50 + round, 24, 24, 16), batch(60 + round, 6, 4).padded(8, 0))); // none; a key mask
        }
        PassPlan plan = new PassPlan(CAPACITY, dtype, true, recompute, frozenLevels, false, filled);
        Run replayed = run(plan, steps);
        System.setProperty(GRAPHS, "false");
        Run eager = run(plan, steps);
        assertEquals(0, eager.graphs);
        // shapes filled: 64 tokens, 128, and 64 with a mask; all first micro-batches of the last come second. As they are: six.
        int backwards = frozenLevels == 3 ? 0 : filled ? 4 : 6;
        assertEquals((filled ? 3 : 6) + backwards, replayed.graphs);
        for (int i = 0; i < eager.results.size(); i++) {
            assertArrayEquals(eager.results.get(i), replayed.results.get(i), "result " + i);
        }
        int each = eager.results.size() / steps.size();
        assertFalse(Arrays.equals(replayed.results.get(each * 6 + 2), replayed.results.get(2)), "steps differ");
    }

    /** More shapes than a model may hold graphs of: the bound holds, and a graph gives way to that of a shape that comes much more often. */
    @Test
    void graphsGiveWayToOthers() {
        List<List<PackedBatch>> steps = new ArrayList<>();
        int shapes = FixedOverhead.TRAINING_GRAPHS / 2 + 1; // of a forward and a backward each
        for (int round = 0; round < 3; round++) {
            for (int length = 1; length <= shapes; length++) {
                steps.add(List.of(batch(100 * round + length, length)));
            }
        }
        for (int round = 3; round < 10; round++) { // the last one's backward had no place yet; at its eighth sight it has
            steps.add(List.of(batch(100 * round + shapes, shapes)));
        }
        PassPlan plan = new PassPlan(CAPACITY, Dtype.F32, true, Recompute.NONE);
        Run replayed = run(plan, steps);
        System.setProperty(GRAPHS, "false");
        Run eager = run(plan, steps);
        assertEquals(FixedOverhead.TRAINING_GRAPHS, replayed.graphs);
        for (int i = 0; i < eager.results.size(); i++) {
            assertArrayEquals(eager.results.get(i), replayed.results.get(i), "result " + i);
        }
    }

    private static EncoderShape shape(PackedBatch batch, boolean filled) {
        return new EncoderShape().set(batch, filled, OutputRows.ALL);
    }

    @Test
    void shapesAreRoundedUpAndHoldAFiller() {
        assertEquals(new EncoderShape(64, 8, 64, false, 0), shape(batch(1, 7, 5), true));
        assertEquals(new EncoderShape(64, 8, 64, false, 0), shape(batch(1, 24, 24, 16), true), "none is needed");
        assertEquals(new EncoderShape(128, 8, 64, false, 0), shape(batch(1, 24, 24, 17), true));
        assertEquals(new EncoderShape(64, 8, 64, true, 0), shape(batch(1, 1, 1, 1, 1, 1, 1, 1).padded(2, 0), true), "seven and the filler");
        assertEquals(new EncoderShape(64, 16, 64, false, 0), shape(batch(1, 1, 1, 1, 1, 1, 1, 1, 1), true));
        assertEquals(new EncoderShape(128, 8, 128, false, 0), shape(batch(1, 65), true));
        assertEquals(new EncoderShape(256, 8, 256, false, 0), shape(batch(1, 129, 100), true));
        assertEquals(new EncoderShape(12, 2, 7, false, 0), shape(batch(1, 7, 5), false));
        for (int tokens = 1; tokens < 200; tokens++) {
            int rows = EncoderShape.tokens(tokens, true);
            assertTrue(rows >= tokens && rows - tokens < 64 && rows >= EncoderShape.tokens(tokens - 1, true));
        }
    }
}
