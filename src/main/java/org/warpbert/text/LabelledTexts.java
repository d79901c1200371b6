package org.warpbert.text;

import java.util.ArrayList;
import java.util.List;
import org.warpbert.WarpBertException;

/** Texts, or pairs of texts, with the labels of each: what sequence tasks make batches of. */
public final class LabelledTexts implements InstanceSource {
    private final WordPieceTokenizer tokenizer;
    private final List<Example> examples;
    private final int[][] labels;
    private final int maxLength;

    /**
     * @param labels    [E][w], of each example; null: one {@link PackedBatch#IGNORE} each
     * @param maxLength most tokens of a sequence, special tokens included
     */
    public LabelledTexts(WordPieceTokenizer tokenizer, List<Example> examples, int[][] labels, int maxLength) {
        if (labels != null && labels.length != examples.size()) {
            throw new WarpBertException(examples.size() + " examples were given " + labels.length + " labels.");
        }
        if (examples.stream().map(example -> example.pair() == null).distinct().count() > 1) {
            throw new WarpBertException("Some examples have a second text and some have none.");
        }
        this.tokenizer = tokenizer;
        this.examples = List.copyOf(examples);
        this.labels = labels == null ? null : labels.clone();
        this.maxLength = maxLength;
    }

    /** Examples of one class each. */
    public static LabelledTexts ofClasses(WordPieceTokenizer tokenizer, List<Example> examples, int[] classes, int maxLength) {
        int[][] labels = new int[classes.length][];
        for (int e = 0; e < classes.length; e++) {
            labels[e] = new int[] {classes[e]};
        }
        return new LabelledTexts(tokenizer, examples, labels, maxLength);
    }

    @Override
    public int size() {
        return examples.size();
    }

    @Override
    public List<Instance> encode(int[] rows) {
        List<String> texts = new ArrayList<>(rows.length);
        List<String> pairs = new ArrayList<>(rows.length);
        for (int row : rows) {
            texts.add(examples.get(row).text());
            pairs.add(examples.get(row).pair());
        }
        List<Encoded> encoded = tokenizer.encode(texts, pairs.get(0) == null ? null : pairs, maxLength);
        List<Instance> instances = new ArrayList<>(rows.length);
        for (int i = 0; i < rows.length; i++) {
            instances.add(Instance.of(encoded.get(i), labels == null ? new int[] {PackedBatch.IGNORE} : labels[rows[i]]));
        }
        return instances;
    }
}
