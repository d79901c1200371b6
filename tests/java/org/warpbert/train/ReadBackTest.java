package org.warpbert.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.model.Head;
import org.warpbert.model.Parameters;
import org.warpbert.model.PassPlan;
import org.warpbert.model.PassPlanner;
import org.warpbert.model.TinyBert;
import org.warpbert.model.TrainedPart;
import org.warpbert.model.WeightFormat;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/**
 * Steps that are asked for before the last one's result was read: the results of step by step. Under simt what was not waited
 * for is NaN, so a number read too early would be seen.
 */
class ReadBackTest {
    private static final int STEPS = 6;
    private static final int CLASSES = 2;
    private static final TinyBert TINY = new TinyBert(32, 1, 40, 1, Activation.GELU, 0.1, CLASSES, 11);

    private static PackedBatch batch(int step) {
        return PackedBatch.of(TinyBert.sequences(100 + step, 3, 17, 8, 1 + step), TINY.labels(200 + step, 4));
    }

    private record Run(Steps steps, List<String> notes) {}

    /** @param lagging whether each step is asked for before the last is read */
    private static Run run(String device, Dtype dtype, boolean lagging, Head head, float scale, double share) {
        Hyperparameters hyper = new Hyperparameters(1, 4, 24, 1e-3, 0, 0.01, 1, 0.1, Schedule.LINEAR, 0, 0, 42, false);
        List<String> notes = new ArrayList<>();
        try (Backend backend = Backends.open(device, 1); Parameters parameters = TINY.parameters(backend, new WeightFormat(dtype, true))) {
            PassPlan unfilled = new PassPlan(Capacity.NONE, dtype, true); // so that these small batches are cut
            PassPlanner planner = new PassPlanner(TINY.config, parameters.table(), head, unfilled, BatchSizes.worst(Capacity.of(17, 1), 4),
                    backend.name(), DeviceSpeed.CPU);
            long least = Trainer.memory(new TrainedPart(parameters.table(), 0), Dtype.F32, planner.largest()).on(backend.name()).bytes()
                    + planner.least().bytes();
            long all = planner.choose(Long.MAX_VALUE / 2).bytes() - planner.least().bytes();
            if (share < 1) {
                backend.limit(backend.allocatedBytes() + least + (long) (share * all));
            }
            LossScale lossScale = dtype == Dtype.F16 ? LossScale.dynamic(scale, 2) : LossScale.of(dtype);
            try (Trainer trainer = new Trainer(backend, TINY.config, parameters, head, hyper, STEPS, planner, Dtype.F32, notes::add, lossScale)) {
                assertEquals(share < 1, trainer.choice().microBatch().tokens() < batch(0).totalTokens(), "every batch is cut");
                return new Run(lagging ? Steps.submitted(backend, trainer, parameters, STEPS, ReadBackTest::batch)
                        : Steps.taken(trainer, parameters, STEPS, ReadBackTest::batch), notes);
            }
        }
    }

    @ParameterizedTest(name = "{0} {1}, {2} of the memory")
    @CsvSource({"cpu, F32, 1", "cpu, F32, 0.1", "simt, F32, 1", "simt, F32, 0.1", "simt, BF16, 1"})
    void resultsAreThoseOfStepByStep(String device, Dtype dtype, double share) {
        Run expected = run(device, dtype, false, new ClassificationHead(CLASSES), 1, share);
        expected.steps.assertSame(run(device, dtype, true, new ClassificationHead(CLASSES), 1, share).steps);
        for (int step = 0; step < STEPS; step++) {
            assertEquals(batch(step).totalTokens(), expected.steps.results().get(step).tokens());
        }
    }

    /** An overflow halves the next step's scale, though that one's forward was asked for before it was known. */
    @Test
    void aSkippedStepIsKnownInTime() {
        Run expected = run("simt", Dtype.F16, false, new ClassificationHead(CLASSES), 0x1p19f, 1);
        long skipped = expected.steps.results().stream().filter(Trainer.Result::skipped).count();
        assertTrue(skipped > 0 && skipped < STEPS - 2, skipped + " were skipped");
        double[] scales = expected.steps.results().stream().mapToDouble(Trainer.Result::lossScale).toArray();
        assertTrue(IntStream.range(1, STEPS).anyMatch(i -> scales[i] < scales[i - 1]) && IntStream.range(1, STEPS).anyMatch(i -> scales[i] > scales[i - 1]),
                "halved, and doubled again: " + Arrays.toString(scales));
        expected.steps.assertSame(run("simt", Dtype.F16, true, new ClassificationHead(CLASSES), 0x1p19f, 1).steps);
    }

    /** A refusal in the middle of a step, while the one before it was not read: both end as they would have. */
    @ParameterizedTest
    @ValueSource(strings = {"cpu", "simt"})
    void aStepIsDoneAgainWhileTheLastIsUnread(String device) {
        Run expected = run(device, Dtype.F32, false, new RefusingHead(Integer.MAX_VALUE), 1, 0.1);
        Run actual = run(device, Dtype.F32, true, new RefusingHead(4), 1, 0.1);
        expected.steps.assertSame(actual.steps);
        assertEquals(1, actual.notes.size(), actual.notes.toString());
        assertTrue(actual.notes.get(0).contains("step 2, which is done again"), actual.notes.toString());
    }

    @ParameterizedTest
    @ValueSource(strings = {"cpu", "simt"})
    void aRunOfOneStepAndALargerBatchThanWasToldOf(String device) {
        Hyperparameters hyper = new Hyperparameters(1, 4, 24, 1e-3, 0, 0.01, 1, 0.0, Schedule.CONSTANT, 0, 0, 42, false);
        try (Backend backend = Backends.open(device, 1); Parameters parameters = TINY.parameters(backend);
                Trainer trainer = new Trainer(backend, TINY.config, parameters, new ClassificationHead(CLASSES), hyper, 1, Capacity.of(17, 1))) {
            assertFalse(trainer.finish(), "nothing was asked for");
            assertNull(trainer.result());
            boolean atOnce = trainer.submit(batch(0));
            assertEquals(!backend.asynchronous(), atOnce);
            assertEquals(!atOnce, trainer.finish());
            Trainer.Result result = trainer.result();
            assertTrue(Double.isFinite(result.loss()) && result.gradNorm() > 0, result.toString());
            assertFalse(trainer.finish());
            assertEquals(result, trainer.result(), "it may be asked for again");
        }
    }

    /** It is the step's own number and rate that are told, though the next was asked for. */
    @ParameterizedTest
    @ValueSource(strings = {"cpu", "simt"})
    void aLossThatIsNoNumberEndsTheRun(String device) {
        Hyperparameters hyper = new Hyperparameters(1, 4, 24, 1e-3, 0, 0.01, 1, 0.0, Schedule.LINEAR, 0, 0, 42, false);
        try (Backend backend = Backends.open(device, 1); Parameters parameters = TINY.parameters(backend);
                Trainer trainer = new Trainer(backend, TINY.config, parameters, new ClassificationHead(CLASSES), hyper, 10, Capacity.of(40, 4))) {
            trainer.submit(batch(0));
            float[] weights = parameters.get("classifier.bias");
            Arrays.fill(weights, Float.NaN);
            parameters.set("classifier.bias", weights);
            String message = assertThrows(WarpBertException.class, () -> {
                trainer.submit(batch(1));
                trainer.submit(batch(2));
            }).getMessage();
            assertTrue(message.contains("not a number at step 2;") && message.contains("(it was 9.0"), message);
        }
    }

    @Test
    void aLossBeyondFloatEndsTheRun() {
        Hyperparameters hyper = new Hyperparameters(1, 4, 24, 1e-3, 0, 0.01, 1, 0.0, Schedule.LINEAR, 0, 0, 42, false);
        try (Backend backend = Backends.open("cpu", 1); Parameters parameters = TINY.parameters(backend);
                Trainer trainer = new Trainer(backend, TINY.config, parameters, new ClassificationHead(CLASSES), hyper, 10, Capacity.of(40, 4))) {
            float[] weights = parameters.get("classifier.bias");
            Arrays.fill(weights, -3e38f);
            weights[0] = 3e38f;
            parameters.set("classifier.bias", weights);
            String message = assertThrows(WarpBertException.class, () -> {
                trainer.submit(batch(0));
                trainer.submit(batch(1));
            }).getMessage();
            assertTrue(message.contains("infinite at step 1;"), message);
        }
    }
}
