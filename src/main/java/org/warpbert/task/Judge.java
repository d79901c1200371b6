package org.warpbert.task;

import java.util.Map;
import org.warpbert.text.PackedBatch;

/** Gathers what a head says of batches, and sums up. */
public interface Judge {
    /** Takes in the head's outputs for the batch that was just forwarded and evaluated. */
    void add(PackedBatch batch);

    /** Metrics by name, the task's own first. */
    Map<String, Double> metrics();

    /** Metrics of the parts that a task's answers fall into, such as types of entities; empty where it has none. */
    default Map<String, Map<String, Double>> byType() {
        return Map.of();
    }

    /** What the same metrics are for the best answer that does not look at the text; those that are known. */
    Map<String, Double> baseline();
}
