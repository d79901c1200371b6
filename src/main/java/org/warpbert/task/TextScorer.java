package org.warpbert.task;

import java.util.List;
import java.util.function.Consumer;
import org.warpbert.WarpBertException;

/**
 * A fine-tuned regression, ready to give numbers. Calls from several threads take turns, for each uses the whole device;
 * small ones that wait are computed in one batch.
 */
public final class TextScorer implements AutoCloseable {
    final OpenModel model;
    private final SharedBatches<Float> answers;

    private TextScorer(OpenModel model) {
        this.model = model;
        ClassificationHead head = new ClassificationHead(1);
        answers = new SharedBatches<>(model, new Inference<>(model, head), (pass, batch) -> {
            float[] logits = head.logits();
            return b -> Evaluation.number(logits[b]);
        });
    }

    /** {@link #load(String, Compute, Consumer)}, where nobody hears of refused memory. */
    public static TextScorer load(String model, Compute compute) {
        return load(model, compute, line -> {});
    }

    /**
     * Opens a run folder, or any model folder with a classification head of one output.
     *
     * @param note receives a line where memory was refused
     */
    public static TextScorer load(String model, Compute compute, Consumer<String> note) {
        return new TextScorer(OpenModel.load(model, compute, note, checkpoint -> {
            checkpoint.requireFor(Purpose.TEXTS);
            if (MultiLabelTask.made(checkpoint.config()) || checkpoint.classes() > 1) {
                throw new WarpBertException(model + " does not give one number: "
                        + (MultiLabelTask.made(checkpoint.config()) ? "it is for MultiLabelClassifier" : "its head has " + checkpoint.classes() + " outputs"));
            }
            return ClassificationHead.parameters(checkpoint.config(), 1);
        }, "complete regression head of one output"));
    }

    /** The longest sequence that the model has positions for. */
    public int positions() {
        return model.config().maxPositionEmbeddings();
    }

    /** Numbers for texts, as many. */
    public float[] score(List<String> texts) {
        return score(texts, null, Math.min(TextClassifier.MAX_LENGTH, positions()), TextClassifier.BATCH_SIZE);
    }

    /**
     * Numbers for texts or pairs of texts, as many.
     *
     * @param pairs     second texts, as many as texts, or null
     * @param maxLength most tokens of a sequence, its special ones included, 3 to {@link #positions}; what is longer is cut
     * @param batchSize most texts computed at a time, at least 1: more take more memory
     */
    public float[] score(List<String> texts, List<String> pairs, int maxLength, int batchSize) {
        List<Float> given = answers.to(texts, pairs, maxLength, batchSize);
        float[] numbers = new float[given.size()];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = given.get(i);
        }
        return numbers;
    }

    /** Waits for a call that is under way. */
    @Override
    public void close() {
        model.close();
    }
}
