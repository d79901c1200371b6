package org.warpbert.task;

import java.util.List;
import java.util.function.Consumer;
import org.warpbert.WarpBertException;
import org.warpbert.text.LabelMap;

/**
 * A fine-tuned classifier, ready to answer. Calls from several threads take turns, for each uses the whole device;
 * small ones that wait are computed in one batch.
 */
public final class TextClassifier implements AutoCloseable {
    /** Length and batch size where a caller names none. */
    public static final int MAX_LENGTH = 512;
    public static final int BATCH_SIZE = 32;

    private static final String HEAD = "classification head";

    final OpenModel model;
    private final SharedBatches<Prediction> answers;
    private final LabelMap labels;

    /**
     * An answer.
     *
     * @param id     number of the class
     * @param score  its probability
     * @param scores probabilities of all classes, by number
     */
    public record Prediction(String label, int id, double score, double[] scores) {}

    private TextClassifier(OpenModel model, LabelMap labels) {
        this.model = model;
        this.labels = labels;
        ClassificationHead head = new ClassificationHead(labels.size());
        answers = new SharedBatches<>(model, new Inference<>(model, head), (pass, batch) -> {
            float[] logits = head.logits();
            return b -> prediction(logits, b);
        });
    }

    /** {@link #load(String, Compute, Consumer)}, where nobody hears of refused memory. */
    public static TextClassifier load(String model, Compute compute) {
        return load(model, compute, line -> {});
    }

    /**
     * Opens a run folder, or any model folder with a classification head.
     *
     * @param note receives a line where memory was refused
     */
    public static TextClassifier load(String model, Compute compute, Consumer<String> note) {
        OpenModel opened = OpenModel.load(model, compute, note, checkpoint -> {
            checkpoint.requireFor(Purpose.TEXTS);
            boolean several = MultiLabelTask.made(checkpoint.config());
            if (several || RegressTask.made(checkpoint.config()) || checkpoint.classes() == 1) { // one class would be the answer to everything
                throw new WarpBertException(model + " does not give one class: it is for " + (several ? "MultiLabelClassifier" : "TextScorer"));
            }
            checkpoint.labels(HEAD); // that they fit the head is known before the weights are read
            return ClassificationHead.parameters(checkpoint.config(), checkpoint.classes());
        }, "complete " + HEAD);
        return new TextClassifier(opened, opened.checkpoint().labels(HEAD));
    }

    /** Labels by class number. */
    public List<String> labels() {
        return labels.labels();
    }

    /** The longest sequence that the model has positions for. */
    public int positions() {
        return model.config().maxPositionEmbeddings();
    }

    /** Classifies texts; see {@link #predict(List, List, int, int)}. An empty text is one too. */
    public List<Prediction> predict(List<String> texts) {
        return predict(texts, null, Math.min(MAX_LENGTH, positions()), BATCH_SIZE);
    }

    /**
     * Classifies texts or pairs of texts.
     *
     * @param pairs     second texts, as many as texts, or null
     * @param maxLength most tokens of a sequence, its special ones included, 3 to {@link #positions}; what is longer is cut
     * @param batchSize most texts computed at a time, at least 1: more take more memory
     * @return as many, in order
     */
    public List<Prediction> predict(List<String> texts, List<String> pairs, int maxLength, int batchSize) {
        return answers.to(texts, pairs, maxLength, batchSize);
    }

    private Prediction prediction(float[] logits, int sequence) {
        int from = sequence * labels.size();
        double[] scores = softmax(logits, from, labels.size());
        int id = Evaluation.argmax(logits, from, labels.size());
        return new Prediction(labels.label(id), id, scores[id], scores);
    }

    /** softmax of {@code count} values from {@code from} on. */
    static double[] softmax(float[] values, int from, int count) {
        double[] result = new double[count];
        double max = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < count; i++) {
            max = Math.max(max, values[from + i]);
        }
        double sum = 0;
        for (int i = 0; i < count; i++) {
            result[i] = Math.exp(values[from + i] - max);
            sum += result[i];
        }
        for (int i = 0; i < count; i++) {
            result[i] /= sum;
        }
        return result;
    }

    /** Waits for a call that is under way. */
    @Override
    public void close() {
        model.close();
    }
}
