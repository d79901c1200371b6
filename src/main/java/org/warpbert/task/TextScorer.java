package org.warpbert.task;

import java.util.List;
import java.util.function.Consumer;
import org.warpbert.backend.Precision;

/** A fine-tuned regression, ready to give numbers. One thread at a time. */
public final class TextScorer implements AutoCloseable {
    private final OpenModel model;

    private TextScorer(OpenModel model) {
        this.model = model;
    }

    /** {@link #load(String, String, int, Precision, long, Consumer)} in the device's own precision and the memory that is free. */
    public static TextScorer load(String model, String device, int threads) {
        return load(model, device, threads, Precision.AUTO, 0, line -> {});
    }

    /**
     * Opens a run folder, or any model folder with a classification head of one output.
     *
     * @param device  see {@link org.warpbert.backend.Backends#open}
     * @param threads 0 for all cores
     * @param memory  the most to take, see {@link org.warpbert.memory.MemoryBudget}; 0: what is free, less a margin
     * @param note    receives a line where memory was refused
     */
    public static TextScorer load(String model, String device, int threads, Precision precision, long memory, Consumer<String> note) {
        return new TextScorer(OpenModel.load(model, device, threads, precision, memory, note,
                checkpoint -> ClassificationHead.parameters(checkpoint.config(), 1), "complete regression head of one output"));
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
     * @param maxLength most tokens of a sequence; what is longer is cut
     */
    public float[] score(List<String> texts, List<String> pairs, int maxLength, int batchSize) {
        model.checkpoint().checkLength(maxLength);
        float[] numbers = new float[texts.size()];
        int[] done = {0};
        ClassificationHead head = new ClassificationHead(1);
        Inference.run(model, head, texts, pairs, maxLength, batchSize, (pass, batch) -> {
            System.arraycopy(head.logits(), 0, numbers, done[0], batch.sequences());
            done[0] += batch.sequences();
        });
        return numbers;
    }

    @Override
    public void close() {
        model.close();
    }
}
