package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

/** By hand: start from none for all, then answer questions in the order of their probability of none. */
class NoAnswerThresholdTest {
    private static final boolean[] NOT_EMPTY = new boolean[5];

    @Test
    void theBestThresholdIsTheProbabilityOfTheLastQuestionWorthAnswering() {
        // sorted: .1 (answerable, .5), .2 (none), .3 (answerable, 1), .6 (none), .9 (answerable, 0); none for all: 2
        // then 2.5, 1.5, 2.5, 1.5, 1.5: the first best stays
        double[] scores = {1, 0, 0.5, 0, 0};
        boolean[] answerable = {true, false, true, false, true};
        double[] none = {0.3, 0.2, 0.1, 0.6, 0.9};
        assertEquals(new NoAnswerThreshold(0.1, 0.5), NoAnswerThreshold.best(scores, NOT_EMPTY, answerable, none));
        scores[2] = 0.75; // 2, 2.75, 1.75, 2.75
        scores[0] = 1;
        none[1] = 0.4; // 2, 2.75, 3.75 at .3
        assertEquals(new NoAnswerThreshold(0.3, 0.75), NoAnswerThreshold.best(scores, NOT_EMPTY, answerable, none));
    }

    @Test
    void whereNoAnswerHelpsNoneIsSaidAlways() {
        NoAnswerThreshold best = NoAnswerThreshold.best(new double[] {0, 0}, new boolean[2], new boolean[] {true, false}, new double[] {0.2, 0.1});
        assertEquals(new NoAnswerThreshold(0, 0.5), best);
        assertEquals(1, NoAnswerThreshold.applied(best.threshold(), 0, false, 0.1));
    }

    @Test
    void anEmptyAnswerCostsNothingWhereThereIsNone() {
        boolean[] empty = {true, false};
        assertEquals(new NoAnswerThreshold(0.5, 1), NoAnswerThreshold.best(new double[] {1, 1}, empty, new boolean[] {false, true}, new double[] {0.1, 0.5}));
    }

    @Test
    void appliedLooksForMoreThanTheThreshold() {
        assertEquals(0.7, NoAnswerThreshold.applied(0.5, 0.7, true, 0.5));
        assertEquals(0, NoAnswerThreshold.applied(0.5, 0.7, true, 0.51));
        assertEquals(1, NoAnswerThreshold.applied(0.5, 0.7, false, 0.51));
        assertEquals(0.7, NoAnswerThreshold.applied(NoAnswerThreshold.NEVER, 0.7, true, 1));
    }
}
