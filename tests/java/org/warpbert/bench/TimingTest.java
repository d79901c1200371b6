package org.warpbert.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class TimingTest {
    private static int pauses(long... processMillis) {
        AtomicInteger pauses = new AtomicInteger();
        Timing.settle(() -> 1_000_000 * processMillis[Math.min(pauses.get(), processMillis.length - 1)], pauses::incrementAndGet);
        return pauses.get();
    }

    @Test
    void whatIsMeasuredWaitsForTheCompilerToEnd() {
        assertEquals(1, pauses(100, 110), "one step of the system's clock is nobody's work");
        assertEquals(3, pauses(100, 130, 155, 165));
    }

    @Test
    void butNotForEver() {
        long[] always = new long[1000];
        for (int i = 0; i < always.length; i++) {
            always[i] = 30L * i;
        }
        assertEquals(30, pauses(always));
    }
}
