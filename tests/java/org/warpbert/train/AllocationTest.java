package org.warpbert.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.model.BertModel;
import org.warpbert.model.Head;
import org.warpbert.model.Parameters;
import org.warpbert.model.TinyBert;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/** The hot path leaves no garbage that grows: neither with layers nor with tokens. */
class AllocationTest {
    private static final int WARMUP = 300; // the loops below are compiled, staging buffers are made
    private static final int RUNS = 200;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    /** What a step may make on the Java heap: its result, the loss read back, two records of where dropout's numbers stand. */
    private static final long STEP_BYTES = 1024;

    private static long bytesPerRun(Runnable run) {
        for (int i = 0; i < WARMUP; i++) {
            run.run();
        }
        long thread = Thread.currentThread().getId();
        long before = THREADS.getThreadAllocatedBytes(thread);
        for (int i = 0; i < RUNS; i++) {
            run.run();
        }
        return (THREADS.getThreadAllocatedBytes(thread) - before) / RUNS;
    }

    private static long step(int layers, int length) {
        TinyBert tiny = new TinyBert(24, 3, 40, layers, Activation.GELU, 0.1, 3, 11);
        PackedBatch batch = PackedBatch.of(TinyBert.sequences(1, length, length), tiny.labels(2, 2));
        Hyperparameters hyper = new Hyperparameters(1, 2, 24, 1e-4, 0, 0.01, 1, null, Schedule.CONSTANT, 0, 0, 42, false);
        try (Backend backend = Backends.open("cpu", 1); Parameters parameters = tiny.parameters(backend);
                Trainer trainer = new Trainer(backend, tiny.config, parameters, new ClassificationHead(tiny.classes), hyper, 1000, Capacity.of(batch))) {
            return bytesPerRun(() -> trainer.step(batch));
        }
    }

    private static long forward(int layers, int length) {
        TinyBert tiny = new TinyBert(24, 3, 40, layers, Activation.GELU, 0.1, 3, 11);
        PackedBatch batch = PackedBatch.of(TinyBert.sequences(1, length, length), null);
        try (Backend backend = Backends.open("cpu", 1); Parameters parameters = tiny.parameters(backend);
                BertModel model = new BertModel(backend, tiny.config, parameters, null, Head.NONE, Capacity.of(batch))) {
            return bytesPerRun(() -> model.forward(batch));
        }
    }

    @Test
    void aTrainingStep() {
        long small = step(1, 3);
        assertTrue(small <= STEP_BYTES, small + " bytes a step");
        assertEquals(small, step(6, 20), 64, "more layers and tokens make no more garbage");
    }

    @Test
    void aForward() {
        long small = forward(1, 3);
        assertTrue(small <= STEP_BYTES / 2, small + " bytes a forward");
        assertEquals(small, forward(6, 20), 64, "more layers and tokens make no more garbage");
    }
}
