package org.warpbert.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.DeviceMemory;

class StopwatchTest {
    private static final int SLOW = 5; // ms, so that an op is not run several times for each time taken

    @ParameterizedTest
    @ValueSource(strings = {"cpu", "simt"})
    void anOpIsTimedAloneAndTheCachesAreGivenBack(String device) {
        try (Backend backend = Backends.open(device, 1); DeviceMemory memory = backend.allocate("an op's", 4)) {
            Stopwatch stopwatch = new Stopwatch(backend);
            assertEquals(device.equals("simt"), stopwatch.clock().startsWith("device"));
            long held = backend.allocatedBytes();
            AtomicInteger runs = new AtomicInteger();
            Timing timing = stopwatch.measure("slow", 2, 5, () -> {
                runs.incrementAndGet();
                backend.zero(memory.address(), 4);
                sleep();
            });
            assertEquals(7, runs.get());
            assertEquals(5, timing.repeats());
            assertTrue(timing.min() >= 1e-3 * SLOW, "not less than it took: " + timing);
            assertEquals(held, backend.allocatedBytes());
        }
    }

    private static void sleep() {
        try {
            Thread.sleep(SLOW);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
