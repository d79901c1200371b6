package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.train.TrainingListener;

/** What a run says of its time. */
class RunLogTest {
    private static final long PAUSE = 200; // ms

    /** A state is saved in the middle of an epoch, and once more after it: neither is training. */
    @Test
    void whatIsDoneInAPauseIsNoTraining() throws InterruptedException {
        try (Backend backend = Backends.open("cpu", 1)) {
            long start = System.nanoTime();
            RunLog log = new RunLog(null, new TrainingListener() {}, backend.gemm());
            log.begin();
            Thread.sleep(PAUSE / 10);
            log.pause();
            Thread.sleep(PAUSE);
            RunLog.State saved = log.state();
            log.begin();
            Thread.sleep(PAUSE / 10);
            log.pause();
            double seconds = log.finish(null).seconds();
            double all = (System.nanoTime() - start) / 1e9;
            assertTrue(seconds >= 2 * PAUSE / 10 / 1e3 && seconds <= all - PAUSE / 1e3, seconds + " of " + all + " s");
            assertTrue(saved.epochSeconds() >= PAUSE / 10 / 1e3 && saved.epochSeconds() < seconds, saved.toString());
            assertEquals(saved.epochSeconds(), saved.seconds());

            RunLog resumed = new RunLog(null, new TrainingListener() {}, backend.gemm());
            resumed.restore(saved);
            resumed.begin();
            resumed.pause();
            assertTrue(resumed.finish(null).seconds() >= saved.epochSeconds());
        }
    }
}
