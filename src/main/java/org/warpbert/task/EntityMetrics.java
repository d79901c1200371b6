package org.warpbert.task;

import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** Counts of whole entities, right where type, first and last word are, as conlleval and seqeval's default mode count them. */
public final class EntityMetrics {
    private final Map<String, PrecisionRecall> types = new TreeMap<>();

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

    private PrecisionRecall of(Entities.Entity entity) {
        return types.computeIfAbsent(entity.type(), type -> new PrecisionRecall());
    }

    /** f1, precision and recall over the entities of all types together (micro average). */
    public Map<String, Double> overall() {
        return types.values().stream().reduce(new PrecisionRecall(), PrecisionRecall::plus).scores();
    }

    /** f1, precision, recall and support (entities that are there) of each type. */
    public Map<String, Map<String, Double>> byType() {
        Map<String, Map<String, Double>> all = new LinkedHashMap<>();
        types.forEach((type, counts) -> all.put(type, counts.scoresAndSupport()));
        return all;
    }
}
