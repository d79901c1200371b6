package org.warpbert.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
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
    void whatIsDoneBetweenDoesNotCount() {
        AtomicInteger works = new AtomicInteger();
        AtomicInteger betweens = new AtomicInteger();
        Timing timing = Timing.measure("a pause", 1, 3, () -> {
            works.incrementAndGet();
            LockSupport.parkNanos(5_000_000);
        }, () -> {
            betweens.incrementAndGet();
            LockSupport.parkNanos(200_000_000);
        });
        assertEquals(4, works.get());
        assertEquals(3, betweens.get());
        assertTrue(timing.min() >= 0.004 && timing.min() < 0.2, timing.toString());
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
