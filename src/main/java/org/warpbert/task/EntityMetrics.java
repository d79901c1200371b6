package org.warpbert.task;

import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** Counts of whole entities, right where type, first and last word are, as conlleval and seqeval count them. */
public final class EntityMetrics {
    private final Map<String, Counts> types = new TreeMap<>();

    /** Of one type: entities that are there, that were predicted, and that are both. */
    private static final class Counts {
        long gold;
        long predicted;
        long right;

        Counts plus(Counts other) {
            gold += other.gold;
            predicted += other.predicted;
            right += other.right;
            return this;
        }

        /** 0 where there is nothing to divide by. */
        Map<String, Double> scores() {
            double precision = predicted == 0 ? 0 : (double) right / predicted;
            double recall = gold == 0 ? 0 : (double) right / gold;
            Map<String, Double> scores = new LinkedHashMap<>();
            scores.put("f1", right == 0 ? 0 : 2 * precision * recall / (precision + recall));
            scores.put("precision", precision);
            scores.put("recall", recall);
            return scores;
        }
    }

    /** Adds a sentence: its tags and those predicted, as many. */
    public void add(List<String> gold, List<String> predicted) {
        Set<Entities.Entity> there = new HashSet<>(Entities.of(gold));
        for (Entities.Entity entity : there) {
            of(entity).gold++;
        }
        for (Entities.Entity entity : Entities.of(predicted)) {
            of(entity).predicted++;
            of(entity).right += there.contains(entity) ? 1 : 0;
        }
    }

    private Counts of(Entities.Entity entity) {
        return types.computeIfAbsent(entity.type(), type -> new Counts());
    }

    /** f1, precision and recall over the entities of all types together (micro average). */
    public Map<String, Double> overall() {
        return types.values().stream().reduce(new Counts(), Counts::plus).scores();
    }

    /** f1, precision, recall and support (entities that are there) of each type. */
    public Map<String, Map<String, Double>> byType() {
        Map<String, Map<String, Double>> all = new LinkedHashMap<>();
        types.forEach((type, counts) -> {
            Map<String, Double> scores = counts.scores();
            scores.put("support", (double) counts.gold);
            all.put(type, scores);
        });
        return all;
    }
}
