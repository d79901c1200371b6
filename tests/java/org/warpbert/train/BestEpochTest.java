package org.warpbert.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.warpbert.WarpBertException;

class BestEpochTest {
    private static final List<String> NAMES = List.of("f1", "accuracy");

    /** Feeds f1 values; the loss goes the other way. What {@code add} says of each, b for better, and | where patience ends. */
    private static String follow(BestEpoch best, double... values) {
        StringBuilder said = new StringBuilder();
        for (int i = 0; i < values.length; i++) {
            said.append(best.add(i + 1, values[i], Map.of("f1", values[i], "accuracy", 0.5)) ? 'b' : '-');
            said.append(best.isOver() ? "|" : "");
        }
        return said.toString();
    }

    @Test
    void theFirstOfEqualsIsTheBest() {
        BestEpoch best = new BestEpoch(new Selection(null, 0, true), NAMES);
        assertEquals("bb--b-", follow(best, 0.1, 0.3, 0.3, 0.2, 0.4, 0.4));
        assertEquals(5, best.epoch());
        assertEquals("f1", best.metric());
    }

    @Test
    void patienceCountsEpochsInARow() {
        assertEquals("b-b--|", follow(new BestEpoch(new Selection(null, 2, false), NAMES), 0.2, 0.1, 0.3, 0.3, 0.1));
        assertEquals("b-|", follow(new BestEpoch(new Selection("accuracy", 1, false), NAMES), 0.1, 0.2));
    }

    @Test
    void ofTheLossLessIsBetter() {
        BestEpoch best = new BestEpoch(new Selection("loss", 2, true), NAMES);
        assertEquals("bb--|", follow(best, 0.3, 0.2, 0.25, 0.2));
        assertEquals(2, best.epoch());
    }

    @Test
    void aNumberIsBetterThanNone() {
        BestEpoch best = new BestEpoch(new Selection(null, 3, true), NAMES);
        assertEquals("b-b-", follow(best, Double.NaN, Double.NaN, -1, Double.NaN));
        assertEquals(3, best.epoch());
        assertEquals("b--|", follow(new BestEpoch(new Selection(null, 2, false), NAMES), Double.NaN, Double.NaN, Double.NaN), "no number is no progress");
    }

    @Test
    void refusesWhatCannotBeFollowed() {
        String message = assertThrows(WarpBertException.class, () -> new BestEpoch(new Selection("f2", 1, false), NAMES)).getMessage();
        assertTrue(message.contains("'f2'") && message.contains("f1, accuracy, loss"), message);
        assertThrows(WarpBertException.class, () -> new Selection(null, -1, false));
        assertThrows(WarpBertException.class, () -> new Selection("f1", 0, false));
        assertFalse(Selection.LAST.judges());
    }
}
