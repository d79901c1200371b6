package org.warpbert.task;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.warpbert.text.Objective;
import org.warpbert.text.PackedBatch;

/** How well masked words are guessed, and where sequences are pairs, whether their texts belong together. */
final class PretrainingMetrics implements Judge {
    static final String WORDS = "mlm_accuracy";
    static final String PERPLEXITY = "perplexity";

    private final Objective objective;
    private final MaskedWordHead head;
    private final Map<Integer, Long> words = new HashMap<>(); // how often each piece was masked
    private final long[] relations = new long[2];
    private double loss;
    private long masked;
    private long rightWords;
    private long rightRelations;

    PretrainingMetrics(Objective objective, MaskedWordHead head) {
        this.objective = objective;
        this.head = head;
    }

    @Override
    public void add(PackedBatch batch) {
        int[] predicted = head.predictedWords();
        float[] losses = head.wordLosses();
        for (int m = 0; m < predicted.length; m++) {
            int word = batch.tokenLabels()[m];
            words.merge(word, 1L, Long::sum);
            loss += losses[m];
            rightWords += predicted[m] == word ? 1 : 0;
        }
        masked += predicted.length;
        if (objective.pairs()) {
            int[] answers = head.predictedRelations();
            for (int b = 0; b < answers.length; b++) {
                relations[batch.labels()[b]]++;
                rightRelations += answers[b] == batch.labels()[b] ? 1 : 0;
            }
        }
    }

    @Override
    public Map<String, Double> metrics() {
        return named((double) rightWords / masked, Math.exp(loss / masked), (double) rightRelations / (relations[0] + relations[1]));
    }

    /** Of one who knows how often each piece is masked, but reads nothing. */
    @Override
    public Map<String, Double> baseline() {
        double entropy = 0;
        long most = 0;
        for (long count : words.values()) {
            entropy -= (double) count / masked * Math.log((double) count / masked);
            most = Math.max(most, count);
        }
        return named((double) most / masked, Math.exp(entropy), (double) Math.max(relations[0], relations[1]) / (relations[0] + relations[1]));
    }

    private Map<String, Double> named(double wordAccuracy, double perplexity, double relationAccuracy) {
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put(WORDS, wordAccuracy);
        metrics.put(PERPLEXITY, perplexity);
        if (objective.pairs()) {
            metrics.put(PretrainTask.name(objective) + "_accuracy", relationAccuracy);
        }
        return metrics;
    }
}
