package org.warpbert.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.memory.MemoryBudget;
import org.warpbert.model.Head;
import org.warpbert.model.Parameters;
import org.warpbert.model.TinyBert;
import org.warpbert.model.WeightFormat;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/** Whole steps whose encoder is launched as graphs, under simt: update, loss scale, micro-batches and refusals of memory. */
class GraphStepsTest {
    private static final String GRAPHS = "warpbert.graphs";
    private static final int STEPS = 7;
    private static final int CLASSES = 2;
    private static final TinyBert TINY = new TinyBert(32, 1, 40, 2, Activation.GELU, 0.1, CLASSES, 11);
    private static final int LONGEST = 21; // six of them are 126 tokens: filled, 128

    @AfterEach
    void asBefore() {
        System.clearProperty(GRAPHS);
    }

    /** Of one shape filled, though no two are alike. */
    private static PackedBatch batch(int step) {
        return PackedBatch.of(TinyBert.sequences(100 + step, 20, 17, 8, LONGEST, 14 + step % 3, 9), TINY.labels(200 + step, 6));
    }

    /** @param graphs the most that were held after a step */
    private record Run(Steps steps, List<String> notes, int graphs) {
        List<Trainer.Result> results() {
            return steps.results();
        }
    }

    /** Steps planned for graphs and taken so or op by op, in {@code share} of the memory that they would use; each asked for before the last is read. */
    private static Run run(Dtype dtype, boolean asGraphs, double share, Head head, LossScale scale) {
        Hyperparameters hyper = new Hyperparameters(1, 6, LONGEST, 1e-3, 2, 0.01, 1, 0.1, Schedule.LINEAR, 0, 0, 42, false);
        List<String> notes = new ArrayList<>();
        try (Backend backend = Backends.open("simt", 1); Parameters parameters = TINY.parameters(backend, new WeightFormat(dtype, true))) {
            long all = plan(parameters, dtype, Long.MAX_VALUE / 2).memory().bytes();
            long least = plan(parameters, dtype, 0).memory().bytes();
            TrainingPlan plan = plan(parameters, dtype, least + (long) (share * (all - least)));
            backend.limit(plan.memory().bytes());
            System.setProperty(GRAPHS, Boolean.toString(asGraphs));
            try (Trainer trainer = new Trainer(backend, TINY.config, parameters, head, hyper, STEPS, plan.planner(), plan.moments(), notes::add, scale)) {
                assertEquals(share < 1, plan.choice().parts() > 1);
                assertEquals(plan.memory().bytes(), backend.allocatedBytes(), "planned is allocated");
                backend.limit(Long.MAX_VALUE); // simt's products of 16 bits want room of their own
                int[] graphs = {0};
                Steps steps = Steps.submitted(backend, trainer, parameters, STEPS, step -> {
                    graphs[0] = Math.max(graphs[0], trainer.graphs());
                    return batch(step);
                });
                return new Run(steps, notes, Math.max(graphs[0], trainer.graphs()));
            } finally {
                System.clearProperty(GRAPHS);
            }
        }
    }

    private static TrainingPlan plan(Parameters parameters, Dtype dtype, long own) {
        return new TrainingPlan(TINY.config, parameters.table(), new ClassificationHead(CLASSES), dtype, 0, BatchSizes.worst(Capacity.of(LONGEST, 1), 6), null,
                DeviceSpeed.CPU, "simt", new MemoryBudget(own, 0), own);
    }

    /** Planned is allocated, in a part of the memory or all, and the graphs' steps are the others' to the bit. */
    @ParameterizedTest(name = "{0}, {1} of the memory")
    @CsvSource({"F32, 1", "F32, 0.4", "F32, 0", "BF16, 1", "BF16, 0.5"})
    void stepsAreThoseOpByOp(Dtype dtype, double share) {
        Run eager = run(dtype, false, share, new ClassificationHead(CLASSES), LossScale.of(dtype));
        Run graphs = run(dtype, true, share, new ClassificationHead(CLASSES), LossScale.of(dtype));
        assertEquals(0, eager.graphs);
        assertTrue(graphs.graphs >= (share < 1 ? 3 : 2), graphs.graphs + " graphs: a forward, a backward, one that adds");
        eager.steps.assertSame(graphs.steps);
    }

    /** A scale that is doubled and halved between replays. */
    @Test
    void aLossScaleThatChangesReachesAReplay() {
        Run eager = run(Dtype.F16, false, 1, new ClassificationHead(CLASSES), LossScale.dynamic(1 << 19, 2));
        assertTrue(!eager.results().get(STEPS - 2).skipped() && eager.results().get(STEPS - 1).skipped(), "long after the capture: " + eager.results());
        eager.steps.assertSame(run(Dtype.F16, true, 1, new ClassificationHead(CLASSES), LossScale.dynamic(1 << 19, 2)).steps);
    }

    /** Memory is refused when graphs are there already: their addresses go, and they with them. */
    @Test
    void graphsGoWithTheBuffersThatTheyUse() {
        Run undisturbed = run(Dtype.F32, true, 1, new RefusingHead(Integer.MAX_VALUE), LossScale.of(Dtype.F32));
        Run disturbed = run(Dtype.F32, true, 1, new RefusingHead(4), LossScale.of(Dtype.F32));
        assertEquals(1, disturbed.notes.size(), disturbed.notes.toString());
        assertTrue(disturbed.notes.get(0).contains("step 4, which is done again"), disturbed.notes.toString());
        assertEquals(2, disturbed.graphs);
        undisturbed.steps.assertSame(disturbed.steps);
    }
}
