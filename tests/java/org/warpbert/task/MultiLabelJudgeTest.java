package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.BitSet;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.warpbert.text.LabelMap;

class MultiLabelJudgeTest {
    private static MultiLabelJudge of(String... goldThenPredicted) {
        MultiLabelJudge judge = new MultiLabelJudge(LabelMap.of(List.of("a", "b", "c", "d")), null);
        for (int i = 0; i < goldThenPredicted.length; i += 2) {
            judge.add(set(goldThenPredicted[i]), set(goldThenPredicted[i + 1]));
        }
        return judge;
    }

    private static BitSet set(String labels) {
        BitSet set = new BitSet();
        labels.chars().forEach(label -> set.set(label - 'a'));
        return set;
    }

    /** d never occurs: 0 in the mean by label. a: 2 of 3 predicted, 3 there. b: 1 of 2, 1 there. c: 0 of 0, 1 there. */
    @Test
    void byHand() {
        MultiLabelJudge judge = of("a", "a", "ab", "ab", "ac", "b", "", "", "", "a");
        double a = 2 * 2.0 / (3 + 3);
        double b = 2 * 1.0 / (2 + 1);
        assertEquals(2 * 3.0 / (5 + 5), judge.metrics().get("f1_micro"), 1e-15);
        assertEquals((a + b + 0 + 0) / 4, judge.metrics().get("f1_macro"), 1e-15);
        assertEquals(3 / 5.0, judge.metrics().get("accuracy"), 1e-15);
        Map<String, Double> first = judge.byType().get("a");
        assertEquals(Map.of("f1", a, "precision", 2 / 3.0, "recall", 2 / 3.0, "support", 3.0), first);
        assertEquals(List.of("a", "b", "c", "d"), List.copyOf(judge.byType().keySet()));
    }

    /** The most frequent set, here none and then "ab", said of every example. */
    @Test
    void baseline() {
        assertEquals(Map.of("f1_micro", 0.0, "f1_macro", 0.0, "accuracy", 0.4), of("a", "a", "ab", "", "c", "b", "", "", "", "a").baseline());
        Map<String, Double> always = of("ab", "", "ab", "", "a", "", "c", "").baseline(); // a: 3 of 4, 3 there; b: 2 of 4, 2 there; c: 1 there
        assertEquals(2 * 5.0 / (8 + 6), always.get("f1_micro"), 1e-15);
        assertEquals((6 / 7.0 + 4 / 6.0) / 4, always.get("f1_macro"), 1e-15);
        assertEquals(0.5, always.get("accuracy"));
    }

    @Test
    void nothingAnywhereIsRight() {
        assertEquals(Map.of("f1_micro", 0.0, "f1_macro", 0.0, "accuracy", 1.0), of("", "", "", "").metrics());
    }
}
