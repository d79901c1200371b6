package org.warpbert.task;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.warpbert.text.LabelMap;
import org.warpbert.text.PackedBatch;
import org.warpbert.text.TaggedSentence;

/**
 * Entities where the labels are tags of them, and the share of right words; of other labels (parts of speech) the share alone.
 * A word behind the cut at the maximum length counts as wrong: it is outside of every entity, and in the share never right.
 */
final class TagJudge implements Judge {
    static final String ACCURACY = "accuracy";
    static final String F1 = "f1";

    private final List<TaggedSentence> sentences;
    private final LabelMap labels;
    private final TaggingHead head;
    private final EntityMetrics entities;
    private final Map<String, Long> frequencies = new LinkedHashMap<>(); // words of each label
    private int next; // the first sentence that is not judged yet
    private long words;
    private long right;

    TagJudge(List<TaggedSentence> sentences, LabelMap labels, TaggingHead head) {
        this.sentences = sentences;
        this.labels = labels;
        this.head = head;
        entities = Entities.areTags(labels.labels()) ? new EntityMetrics() : null;
    }

    @Override
    public void add(PackedBatch batch) {
        float[] logits = head.logits();
        int row = 0;
        for (int b = 0; b < batch.sequences(); b++) {
            List<String> gold = sentences.get(next++).labels();
            List<String> predicted = new ArrayList<>(gold.size());
            for (; row < batch.labelledRows().length && batch.labelledRows()[row] < batch.cuSeqlens()[b + 1]; row++) {
                predicted.add(labels.label(Evaluation.argmax(logits, row * labels.size(), labels.size())));
            }
            while (predicted.size() < gold.size()) {
                predicted.add(null); // cut off
            }
            judge(gold, predicted);
        }
    }

    private void judge(List<String> gold, List<String> predicted) {
        for (int w = 0; w < gold.size(); w++) {
            right += gold.get(w).equals(predicted.get(w)) ? 1 : 0;
            frequencies.merge(gold.get(w), 1L, Long::sum);
        }
        words += gold.size();
        if (entities != null) {
            entities.add(gold, predicted);
        }
    }

    @Override
    public Map<String, Double> metrics() {
        Map<String, Double> metrics = entities == null ? new LinkedHashMap<>() : entities.overall();
        metrics.put(ACCURACY, (double) right / words);
        return metrics;
    }

    @Override
    public Map<String, Map<String, Double>> byType() {
        return entities == null ? Map.of() : entities.byType();
    }

    /** Of the most frequent label everywhere; the f1 of that is not known where it is not O. */
    @Override
    public Map<String, Double> baseline() {
        Map<String, Double> baseline = new LinkedHashMap<>();
        Map.Entry<String, Long> most = frequencies.entrySet().stream().max(Map.Entry.comparingByValue()).orElse(Map.entry("", 0L));
        if (entities != null && most.getKey().equals("O")) {
            baseline.put(F1, 0.0);
        }
        baseline.put(ACCURACY, (double) most.getValue() / words);
        return baseline;
    }
}
