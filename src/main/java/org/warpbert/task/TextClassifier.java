package org.warpbert.task;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.model.Parameters;
import org.warpbert.text.BatchLoader;
import org.warpbert.text.Examples;
import org.warpbert.text.LabelMap;

/** A fine-tuned classifier, ready to answer. One thread at a time. */
public final class TextClassifier implements AutoCloseable {
    /** Length and batch size where a caller names none. */
    public static final int MAX_LENGTH = 512;
    public static final int BATCH_SIZE = 32;

    private final Checkpoint checkpoint;
    private final Backend backend;
    private final Parameters parameters;
    private final LabelMap labels;

    /**
     * An answer.
     *
     * @param id     number of the class
     * @param score  its probability
     * @param scores probabilities of all classes, by number
     */
    public record Prediction(String label, int id, double score, double[] scores) {}

    private TextClassifier(Checkpoint checkpoint, Backend backend, Parameters parameters, LabelMap labels) {
        this.checkpoint = checkpoint;
        this.backend = backend;
        this.parameters = parameters;
        this.labels = labels;
    }

    /**
     * Opens a run folder, or any model folder with a classification head.
     *
     * @param device  see {@link Backends#open}
     * @param threads 0 for all cores
     */
    public static TextClassifier load(String model, String device, int threads) {
        Checkpoint checkpoint = Checkpoint.open(model);
        Backend backend = null;
        try {
            int classes = checkpoint.classes();
            if (classes == 0) {
                throw new WarpBertException(model + " has no classification head (classifier.weight): fine-tune it first");
            }
            List<String> names = checkpoint.config().id2label();
            if (names == null) {
                names = IntStream.range(0, classes).mapToObj(Integer::toString).toList();
            } else if (names.size() != classes) {
                throw new WarpBertException(model + ": config.json names " + names.size() + " labels, the head has " + classes + " classes");
            }
            backend = Backends.open(device, threads);
            Parameters parameters = checkpoint.loadAll(backend,
                    ClassificationHead.parameters(checkpoint.config(), classes), "complete classification head");
            return new TextClassifier(checkpoint, backend, parameters, LabelMap.of(names));
        } catch (RuntimeException e) {
            if (backend != null) {
                backend.close();
            }
            checkpoint.close();
            throw e;
        }
    }

    /** Labels by class number. */
    public List<String> labels() {
        return labels.labels();
    }

    /** Classifies texts. */
    public List<Prediction> predict(List<String> texts) {
        return predict(texts, null, Math.min(MAX_LENGTH, checkpoint.config().maxPositionEmbeddings()), BATCH_SIZE);
    }

    /**
     * Classifies texts or pairs of texts.
     *
     * @param pairs     second texts, as many as texts, or null
     * @param maxLength most tokens of a sequence; what is longer is cut
     */
    public List<Prediction> predict(List<String> texts, List<String> pairs, int maxLength, int batchSize) {
        checkpoint.checkLength(maxLength);
        List<Prediction> predictions = new ArrayList<>(texts.size());
        ClassificationHead head = new ClassificationHead(labels.size());
        Inference.run(checkpoint, backend, parameters, head, texts, pairs, maxLength, batchSize, (model, batch) -> {
            float[] logits = head.logits();
            for (int b = 0; b < batch.sequences(); b++) {
                double[] scores = softmax(logits, b * labels.size(), labels.size());
                int id = Evaluation.argmax(logits, b * labels.size(), labels.size());
                predictions.add(new Prediction(labels.label(id), id, scores[id], scores));
            }
        });
        return predictions;
    }

    /** Judges the classifier by labelled examples; {@code progress} receives the number of batches done. */
    public Evaluation evaluate(Examples examples, int maxLength, int batchSize, IntConsumer progress) {
        checkpoint.checkLength(maxLength);
        try (BatchLoader loader = new BatchLoader(checkpoint.tokenizer(), examples.rows(), labels.ids(examples), maxLength,
                batchSize, 0, false)) {
            return Evaluation.run(backend, checkpoint.config(), parameters, labels.size(), loader, batchSize, progress);
        }
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

    @Override
    public void close() {
        parameters.close();
        backend.close();
        checkpoint.close();
    }
}
