package org.warpbert.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.warpbert.WarpBertException;

class ScheduleTest {
    @Test
    void linearWithoutWarmUpStartsFullAndEndsAtZero() {
        assertEquals(1, Schedule.LINEAR.factor(0, 0, 100));
        assertEquals(0.99, Schedule.LINEAR.factor(1, 0, 100), 1e-15);
        assertEquals(0.01, Schedule.LINEAR.factor(99, 0, 100), 1e-15);
        assertEquals(0, Schedule.LINEAR.factor(100, 0, 100));
        assertEquals(0, Schedule.LINEAR.factor(150, 0, 100));
    }

    @Test
    void warmUpRisesFromZeroThenFalls() {
        assertEquals(0, Schedule.LINEAR.factor(0, 10, 110));
        assertEquals(0.5, Schedule.LINEAR.factor(5, 10, 110));
        assertEquals(1, Schedule.LINEAR.factor(10, 10, 110));
        assertEquals(0.5, Schedule.LINEAR.factor(60, 10, 110));
        assertEquals(0.9, Schedule.CONSTANT.factor(9, 10, 0), 1e-15);
        assertEquals(1, Schedule.CONSTANT.factor(1000, 10, 0));
    }

    @Test
    void warmUpAsLongAsTheRun() {
        assertEquals(0.9, Schedule.LINEAR.factor(9, 10, 10), 1e-15);
        assertEquals(0, Schedule.LINEAR.factor(10, 10, 10));
    }

    @Test
    void hyperparametersNameTheOptionThatIsWrong() {
        Hyperparameters d = Hyperparameters.DEFAULT;
        WarpBertException e = assertThrows(WarpBertException.class, () -> new Hyperparameters(d.epochs(), 0, d.maxLength(), d.lr(),
                0, 0, 1, null, Schedule.LINEAR, 0, 0, 1, true));
        assertTrue(e.getMessage().contains("the batch size (--batch-size) is 0"), e.getMessage());
        assertThrows(WarpBertException.class, () -> new Hyperparameters(1, 1, 3, Double.NaN, 0, 0, 1, null, Schedule.LINEAR, 0, 0, 1, true));
        assertThrows(WarpBertException.class, () -> new Hyperparameters(1, 1, 3, 1, 0, 0, 1, 1.0, Schedule.LINEAR, 0, 0, 1, true));
    }
}
