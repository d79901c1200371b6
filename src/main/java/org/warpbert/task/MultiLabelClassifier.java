package org.warpbert.task;

import java.util.List;
import java.util.function.Consumer;
import org.warpbert.WarpBertException;
import org.warpbert.text.LabelMap;

/**
 * A fine-tuned classifier that gives a text any number of labels, ready to answer. Calls from several threads take turns, for each uses the whole device;
 * small ones that wait are computed in one batch.
 */
public final class MultiLabelClassifier implements AutoCloseable {
    private static final String HEAD = "classification head";

    final OpenModel model;
    private final SharedBatches<double[]> answers;
    private final LabelMap labels;

    private MultiLabelClassifier(OpenModel model, LabelMap labels) {
        this.model = model;
        this.labels = labels;
        ClassificationHead head = new ClassificationHead(labels.size());
        answers = new SharedBatches<>(model, new Inference<>(model, head), (pass, batch) -> {
            float[] logits = head.logits();
            return b -> probabilities(logits, b);
        });
    }

    /** {@link #load(String, Compute, Consumer)}, where nobody hears of refused memory. */
    public static MultiLabelClassifier load(String model, Compute compute) {
        return load(model, compute, line -> {});
    }

    /**
     * Opens a run folder, or any model folder whose problem type is multi_label_classification.
     *
     * @param note receives a line where memory was refused
     */
    public static MultiLabelClassifier load(String model, Compute compute, Consumer<String> note) {
        OpenModel opened = OpenModel.load(model, compute, note, checkpoint -> {
            checkpoint.requireFor(Purpose.TEXTS);
            if (!MultiLabelTask.made(checkpoint.config())) {
                throw new WarpBertException(model + " was not trained for several labels a text (problem_type in its config.json)");
            }
            checkpoint.labels(HEAD); // that they fit the head is known before the weights are read
            return ClassificationHead.parameters(checkpoint.config(), checkpoint.classes());
        }, "complete " + HEAD);
        return new MultiLabelClassifier(opened, opened.checkpoint().labels(HEAD));
    }

    /** Labels by class number. */
    public List<String> labels() {
        return labels.labels();
    }

    /** The longest sequence that the model has positions for. */
    public int positions() {
        return model.config().maxPositionEmbeddings();
    }

    /** Probabilities for texts; see {@link #predict(List, List, int, int)}. */
    public List<double[]> predict(List<String> texts) {
        return predict(texts, null, Math.min(TextClassifier.MAX_LENGTH, positions()), TextClassifier.BATCH_SIZE);
    }

    /**
     * How probable each label is for texts or pairs of texts, each by itself.
     *
     * @param pairs     second texts, as many as texts, or null
     * @param maxLength most tokens of a sequence, its special ones included, 3 to {@link #positions}; what is longer is cut
     * @param batchSize most texts computed at a time, at least 1: more take more memory
     * @return for each text, in order, probabilities by class number
     */
    public List<double[]> predict(List<String> texts, List<String> pairs, int maxLength, int batchSize) {
        return answers.to(texts, pairs, maxLength, batchSize);
    }

    private double[] probabilities(float[] logits, int sequence) {
        double[] probabilities = new double[labels.size()];
        for (int c = 0; c < probabilities.length; c++) {
            probabilities[c] = 1 / (1 + Math.exp(-Evaluation.number(logits[sequence * probabilities.length + c])));
        }
        return probabilities;
    }

    /** Waits for a call that is under way. */
    @Override
    public void close() {
        model.close();
    }
}
