package org.warpbert.task;

import java.util.BitSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.warpbert.text.LabelMap;
import org.warpbert.text.PackedBatch;

/** Sets of labels, a label predicted where its probability is above 1/2: f1 over all labels, its mean by label, exact sets. */
final class MultiLabelJudge implements Judge {
    static final String MICRO = "f1_micro";
    static final String MACRO = "f1_macro";
    static final String ACCURACY = "accuracy";

    private final LabelMap labels;
    private final ClassificationHead head;
    private final PrecisionRecall[] classes; // [C]
    private final Map<BitSet, Integer> sets = new HashMap<>(); // how many examples have these labels
    private int examples;
    private int right;

    MultiLabelJudge(LabelMap labels, ClassificationHead head) {
        this.labels = labels;
        this.head = head;
        classes = Stream.generate(PrecisionRecall::new).limit(labels.size()).toArray(PrecisionRecall[]::new);
    }

    @Override
    public void add(PackedBatch batch) {
        float[] logits = head.logits();
        for (int b = 0; b < batch.examples(); b++) {
            BitSet gold = new BitSet();
            BitSet predicted = new BitSet();
            for (int c = 0; c < classes.length; c++) {
                gold.set(c, Float.intBitsToFloat(batch.labels()[b * classes.length + c]) == 1);
                predicted.set(c, Evaluation.number(logits[b * classes.length + c]) > 0);
            }
            add(gold, predicted);
        }
    }

    void add(BitSet gold, BitSet predicted) {
        for (int c = 0; c < classes.length; c++) {
            classes[c].gold += gold.get(c) ? 1 : 0;
            classes[c].predicted += predicted.get(c) ? 1 : 0;
            classes[c].right += gold.get(c) && predicted.get(c) ? 1 : 0;
        }
        sets.merge(gold, 1, Integer::sum);
        right += gold.equals(predicted) ? 1 : 0;
        examples++;
    }

    @Override
    public Map<String, Double> metrics() {
        return metrics(classes, (double) right / examples);
    }

    /** A label that no example has and none was predicted to have counts as 0 in the mean, as scikit-learn has it. */
    private static Map<String, Double> metrics(PrecisionRecall[] classes, double accuracy) {
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put(MICRO, Stream.of(classes).reduce(new PrecisionRecall(), PrecisionRecall::plus).f1());
        metrics.put(MACRO, Stream.of(classes).mapToDouble(PrecisionRecall::f1).average().orElse(0));
        metrics.put(ACCURACY, accuracy);
        return metrics;
    }

    @Override
    public Map<String, Map<String, Double>> byType() {
        Map<String, Map<String, Double>> all = new LinkedHashMap<>();
        for (int c = 0; c < classes.length; c++) {
            all.put(labels.label(c), classes[c].scoresAndSupport());
        }
        return all;
    }

    /** Of the set of labels that the most examples have, everywhere. */
    @Override
    public Map<String, Double> baseline() {
        Map.Entry<BitSet, Integer> most = sets.entrySet().stream()
                .max(Map.Entry.<BitSet, Integer>comparingByValue().thenComparing(entry -> entry.getKey().toString())).orElseThrow();
        PrecisionRecall[] always = new PrecisionRecall[classes.length];
        for (int c = 0; c < classes.length; c++) {
            always[c] = new PrecisionRecall();
            always[c].gold = classes[c].gold;
            always[c].predicted = most.getKey().get(c) ? examples : 0;
            always[c].right = most.getKey().get(c) ? classes[c].gold : 0;
        }
        return metrics(always, (double) most.getValue() / examples);
    }
}
