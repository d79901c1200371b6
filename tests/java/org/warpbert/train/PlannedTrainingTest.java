package org.warpbert.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.backend.OutOfDeviceMemory;
import org.warpbert.memory.BatchPlanner;
import org.warpbert.memory.BatchPlanner.Choice;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.memory.MemoryBudget;
import org.warpbert.memory.Recompute;
import org.warpbert.model.BertConfig;
import org.warpbert.model.BertModel;
import org.warpbert.model.Gradients;
import org.warpbert.model.Parameters;
import org.warpbert.model.PassPlan;
import org.warpbert.model.WeightFormat;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;

/** Plans held against what is really allocated and what really fits. */
class PlannedTrainingTest {
    private static final BertConfig CONFIG = BertConfig.ofSizes(53, 32, 3, 1, 64, 512, 2);
    private static final int CLASSES = 2;
    private static final int BATCH = 8;

    private Backend backend;
    private Parameters parameters;

    @BeforeEach
    void open() {
        backend = Backends.open("cpu", 1);
        parameters = Parameters.random(backend, ClassificationHead.parameters(CONFIG, CLASSES), 1);
    }

    @AfterEach
    void close() {
        parameters.close();
        assertEquals(0, backend.allocatedBytes(), "everything was given back");
        backend.close();
    }

    private TrainingPlan plan(BatchSizes sizes, long own) {
        return plan(sizes, own, 0);
    }

    private TrainingPlan plan(BatchSizes sizes, long own, int frozenLevels) {
        return new TrainingPlan(CONFIG, parameters.table(), new ClassificationHead(CLASSES), Dtype.F32, frozenLevels, sizes, null, DeviceSpeed.CPU, "cpu",
                new MemoryBudget(own, 0), own);
    }

    private Trainer trainer(TrainingPlan plan) {
        return new Trainer(backend, CONFIG, parameters, new ClassificationHead(CLASSES), Hyperparameters.DEFAULT, 1000, plan,
                line -> { throw new AssertionError(line); });
    }

    private static BatchSizes worst() {
        return BatchSizes.worst(Capacity.of(512, 1), BATCH);
    }

    private static PackedBatch batch(SplittableRandom random, int count, int longest) {
        List<Encoded> sequences = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int length = 1 + random.nextInt(longest);
            sequences.add(new Encoded(random.ints(length, 0, 53).toArray(), new byte[length], false));
        }
        return PackedBatch.of(sequences, random.ints(count, 0, CLASSES).toArray());
    }

    /** From the smallest budget that will do to one that holds everything: what is planned is what is allocated. */
    @Test
    void whatIsPlannedIsAllocatedAndNothingFitsInLess() {
        long least = plan(worst(), 0).memory().bytes();
        long all = plan(worst(), Long.MAX_VALUE / 2).memory().bytes();
        assertTrue(all > 1.5 * least, least + " to " + all);
        assertNull(plan(worst(), least - 1).choice());
        assertTrue(plan(worst(), least - 1).suggestion().contains("--max-length 504"), plan(worst(), least - 1).suggestion());
        for (int i = 0; i <= 20; i++) {
            long budget = least + (all - least) * i / 20;
            TrainingPlan plan = plan(worst(), budget);
            assertTrue(plan.memory().bytes() <= budget);
            backend.limit(budget);
            try (Trainer trainer = trainer(plan)) {
                assertEquals(plan.memory().bytes(), backend.allocatedBytes(), "of " + budget);
                trainer.step(batch(new SplittableRandom(i), BATCH, 512));
                assertEquals(plan.choice(), trainer.choice());
            }
        }
    }

    /** What is frozen has neither gradients nor moments, and below it nothing is saved. */
    @Test
    void frozenLevelsAreNotHeld() {
        long before = Long.MAX_VALUE;
        for (int frozen = 0; frozen <= CONFIG.numHiddenLayers() + 1; frozen++) {
            LayerRates rates = new LayerRates(frozen == 1, Math.max(0, frozen - 1), 1);
            assertEquals(frozen, rates.frozenLevels());
            long least = plan(worst(), 0, frozen).memory().bytes();
            TrainingPlan plan = plan(worst(), least * 3 / 2, frozen);
            assertTrue(least < before);
            assertEquals(2 * plan.memory().parts().get("gradients"), plan.memory().parts().get("moments"), 512, "two of each");
            assertTrue(frozen <= CONFIG.numHiddenLayers() || plan.memory().parts().get("gradients") < WeightFormat.F32.bytes(parameters.table()) / 10, "the head's");
            before = least;
            backend.limit(plan.memory().bytes());
            Hyperparameters hyper = new Hyperparameters(1, BATCH, 512, 1e-3, 0, 0.01, 1, 0.1, Schedule.CONSTANT, 0, 0, 42, false, rates, Selection.LAST);
            try (Trainer trainer = new Trainer(backend, CONFIG, parameters, new ClassificationHead(CLASSES), hyper, 1000, plan,
                    line -> { throw new AssertionError(line); })) {
                assertEquals(plan.memory().bytes(), backend.allocatedBytes(), frozen + " levels");
                trainer.step(batch(new SplittableRandom(frozen), BATCH, 512));
                assertEquals(plan.memory().bytes(), backend.allocatedBytes());
            }
        }
    }

    /** The largest micro-batch that a model can really be made for under the limit, found by trying, is the planned one. */
    @ParameterizedTest
    @EnumSource(Recompute.class)
    void theChosenMicroBatchIsTheLargestThatFits(Recompute recompute) {
        try (Gradients gradients = new Gradients(backend, parameters.table())) {
            for (int share : new int[] {3, 5, 9}) {
                long limit = backend.allocatedBytes() + BertModel.plannedBytes(CONFIG, new ClassificationHead(CLASSES),
                        new PassPlan(Capacity.of(512 * BATCH, BATCH), Dtype.F32, true, recompute), "cpu") * share / 10;
                backend.limit(limit);
                Choice choice = new BatchPlanner(worst(), List.of(recompute),
                        (capacity, level) -> BertModel.plannedBytes(CONFIG, new ClassificationHead(CLASSES), new PassPlan(capacity, Dtype.F32, true, level), "cpu"),
                        (tokens, parts, level) -> 1).choose(backend.freeBytes());
                int largest = 512; // bisected: what holds more tokens takes more
                for (int step = 512 * BATCH / 2; step > 0; step /= 2) {
                    PassPlan plan = new PassPlan(Capacity.of(largest + step, BATCH), Dtype.F32, true, recompute);
                    try {
                        new BertModel(backend, CONFIG, parameters, gradients, new ClassificationHead(CLASSES), plan).close();
                        largest += step;
                    } catch (OutOfDeviceMemory e) {
                        assertTrue(e.getMessage().contains("limit"), e.getMessage());
                    }
                }
                assertTrue(largest > 512 && largest < 512 * BATCH, "the limit is felt: " + largest);
                assertEquals(largest, choice.microBatch().tokens());
            }
        }
    }

    /**
     * The fastest plan: nothing is computed again while cutting the batch is enough, and what must be is as little as will do.
     * Moments are in bfloat16 only where they must be, though what that frees would make a plan faster.
     */
    @Test
    void recomputesOnlyAsNeeded() {
        long least = plan(worst(), 0).memory().bytes();
        long all = plan(worst(), Long.MAX_VALUE / 2).memory().bytes();
        List<Recompute> chosen = new ArrayList<>();
        for (int i = 0; i <= 400; i++) {
            chosen.add(plan(worst(), least + (all - least) * i / 400).choice().recompute());
        }
        assertEquals(Recompute.LAYERS, chosen.get(0));
        assertEquals(Recompute.NONE, chosen.get(400));
        assertTrue(chosen.containsAll(Arrays.asList(Recompute.values())), chosen.toString());
        double before = Double.MAX_VALUE;
        Dtype moments = Dtype.BF16;
        for (int i = 0; i <= 400; i++) {
            TrainingPlan plan = plan(worst(), least + (all - least) * i / 400);
            if (plan.moments() != moments) {
                assertEquals(Dtype.F32, plan.moments());
                assertEquals(Recompute.LAYERS, plan.choice().recompute(), "float32 as soon as there is any way");
                moments = Dtype.F32;
                before = Double.MAX_VALUE;
            }
            assertTrue(plan.choice().seconds() <= before, "more memory is never slower");
            before = plan.choice().seconds();
        }
        assertEquals(Dtype.F32, moments);
    }

    /** A thousand steps of lengths 1 to 512 at a budget 5% above the smallest: no refusal, for the listener throws at one. */
    @Test
    void aThousandStepsNeverRunOut() {
        SplittableRandom random = new SplittableRandom(11);
        List<PackedBatch> batches = new ArrayList<>();
        for (int step = 0; step < 1000; step++) {
            batches.add(batch(random, 1 + random.nextInt(4), 1 + random.nextInt(512)));
        }
        BatchSizes sizes = BatchSizes.worst(Capacity.of(512, 1), 4);
        long least = plan(sizes, 0).memory().bytes();
        long budget = least + least / 20;
        TrainingPlan plan = plan(sizes, budget);
        backend.limit(budget);
        try (Trainer trainer = trainer(plan)) {
            for (PackedBatch batch : batches) {
                assertTrue(Double.isFinite(trainer.step(batch)));
                assertEquals(plan.memory().bytes(), backend.peakBytes());
            }
        }
    }

    /** A head's refusal in the middle of a step: the step begins again, and leaves the very gradient that it would have. */
    @Test
    void aStepThatRunsOutIsDoneAgainFromItsStart() {
        SplittableRandom random = new SplittableRandom(12);
        PackedBatch first = batch(random, BATCH, 512);
        PackedBatch second = batch(random, BATCH, 512);
        float[][] gradients = new float[2][];
        double[] losses = new double[2];
        for (int run = 0; run < 2; run++) {
            try (Parameters own = Parameters.random(backend, parameters.table(), 1)) {
                List<String> notes = new ArrayList<>();
                RefusingHead head = new RefusingHead(run == 0 ? Integer.MAX_VALUE : 3);
                TrainingPlan plan = plan(worst(), plan(worst(), 0).memory().bytes() * 3 / 2);
                backend.limit(backend.allocatedBytes() + plan.budget().own() - WeightFormat.F32.bytes(parameters.table()));
                try (Trainer trainer = new Trainer(backend, CONFIG, own, head, Hyperparameters.DEFAULT, 10, plan, notes::add)) {
                    trainer.step(first);
                    losses[run] = trainer.step(second);
                    gradients[run] = trainer.gradients().get("encoder.layer.0.attention.self.query.weight");
                }
                assertEquals(run, notes.size(), notes.toString());
                assertTrue(run == 0 || notes.get(0).contains("step 1, which is done again"), notes.toString());
                assertTrue(plan.choice().parts() > 3, "the refusal comes between micro-batches");
            }
        }
        assertEquals(losses[0], losses[1]);
        assertArrayEquals(gradients[0], gradients[1]);
    }
}
