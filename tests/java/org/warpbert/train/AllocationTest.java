package org.warpbert.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.model.BertModel;
import org.warpbert.model.Head;
import org.warpbert.model.Parameters;
import org.warpbert.model.WeightFormat;
import org.warpbert.task.HeadKind;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/**
 * A training step and a forward make no object on the Java heap, not one byte: by what they are, not by what a compiler finds out.
 * Warm-up is what loads classes and captures graphs, and whenever a method has become hot the virtual machine makes its strings
 * before it compiles it: so what counts is the best of several rounds.
 */
class AllocationTest {
    private static final int ROUNDS = 12;
    private static final int RUNS = 2;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    /** The least that this thread allocates in a round of work on batches of two shapes in turn. */
    private static long bytes(PackedBatch batch, Consumer<PackedBatch> work) {
        PackedBatch smaller = batch.slice(0, batch.examples() - 1);
        long least = Long.MAX_VALUE;
        for (int round = 0; round < ROUNDS && least > 0; round++) {
            long before = THREADS.getCurrentThreadAllocatedBytes();
            for (int i = 0; i < RUNS; i++) {
                work.accept(batch);
                work.accept(smaller);
            }
            least = Math.min(least, THREADS.getCurrentThreadAllocatedBytes() - before);
        }
        return least;
    }

    private static void step(String device, HeadKind kind, Dtype dtype, boolean ahead) {
        Hyperparameters hyper = new Hyperparameters(1, 6, 64, 1e-4, 0, 0.01, 1, 0.1, Schedule.LINEAR, 0, 0, 42, false);
        PackedBatch batch = kind.batch();
        try (Backend backend = Backends.open(device, 1);
                Parameters parameters = Parameters.random(backend, kind.table(), new WeightFormat(dtype, true), 5);
                Trainer trainer = new Trainer(backend, HeadKind.CONFIG, parameters, kind.head, hyper, 1000, Capacity.of(batch))) {
            assertEquals(0, bytes(batch, ahead ? trainer::submit : trainer::step));
            trainer.finish();
            assertTrue(trainer.result().gradNorm() > 0, "they were steps");
            assertEquals(backend.capturesGraphs(), trainer.graphs() > 0, "by graphs where there are any");
        }
    }

    @ParameterizedTest(name = "{0} {1} {2}")
    @CsvSource({"cpu, CLASSES, F32", "cpu, NUMBERS, F32", "cpu, TAGS, F32", "cpu, SPAN, F32", "cpu, CHOICE, F32", "cpu, WORDS, F32",
        "simt, CLASSES, F32", "simt, TAGS, BF16", "simt, WORDS, F32"})
    void aTrainingStep(String device, HeadKind kind, Dtype dtype) {
        step(device, kind, dtype, false);
    }

    /** As a run asks for them: each before the last was waited for; fp16 with a dynamic loss scale. */
    @ParameterizedTest(name = "{0} {1}")
    @CsvSource({"cpu, F32", "simt, F16"})
    void aStepAheadOfTheDevice(String device, Dtype dtype) {
        step(device, HeadKind.CLASSES, dtype, true);
    }

    @ParameterizedTest(name = "{0} {1}")
    @CsvSource({"cpu, CLASSES", "cpu, TAGS", "cpu, SPAN", "cpu, CHOICE", "cpu, WORDS", "simt, CLASSES", "simt, WORDS"})
    void aForward(String device, HeadKind kind) {
        forward(device, kind, kind.head);
    }

    @ParameterizedTest
    @ValueSource(strings = {"cpu", "simt"})
    void aForwardOfTheEncoderAlone(String device) {
        forward(device, HeadKind.CLASSES, Head.NONE);
    }

    private static void forward(String device, HeadKind kind, Head head) {
        PackedBatch batch = kind.batch();
        try (Backend backend = Backends.open(device, 1); Parameters parameters = Parameters.random(backend, kind.table(), WeightFormat.F32, 5);
                BertModel model = new BertModel(backend, HeadKind.CONFIG, parameters, null, head, Capacity.of(batch))) {
            assertEquals(0, bytes(batch, model::forward));
            assertEquals(backend.capturesGraphs(), model.graphs() > 0, "by graphs where there are any");
        }
    }

    /** What measures sees an object. */
    @Test
    void anObjectIsSeen() {
        Object[] kept = {null};
        assertTrue(bytes(HeadKind.CLASSES.batch(), batch -> kept[0] = new Object()) >= 2 * RUNS * 8);
    }
}
