package org.warpbert.task;

import java.util.LinkedHashMap;
import java.util.Map;

/** Counts of what is there, what was predicted, and what is both; scores are 0 where there is nothing to divide by. */
final class PrecisionRecall {
    long gold;
    long predicted;
    long right;

    PrecisionRecall plus(PrecisionRecall other) {
        gold += other.gold;
        predicted += other.predicted;
        right += other.right;
        return this;
    }

    private double precision() {
        return predicted == 0 ? 0 : (double) right / predicted;
    }

    private double recall() {
        return gold == 0 ? 0 : (double) right / gold;
    }

    double f1() {
        return right == 0 ? 0 : 2 * precision() * recall() / (precision() + recall());
    }

    /** f1, precision and recall. */
    Map<String, Double> scores() {
        Map<String, Double> scores = new LinkedHashMap<>();
        scores.put("f1", f1());
        scores.put("precision", precision());
        scores.put("recall", recall());
        return scores;
    }

    /** The same, and support: how much is there. */
    Map<String, Double> scoresAndSupport() {
        Map<String, Double> scores = scores();
        scores.put("support", (double) gold);
        return scores;
    }
}
