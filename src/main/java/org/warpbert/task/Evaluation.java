package org.warpbert.task;

import java.util.Iterator;
import java.util.function.IntConsumer;
import org.warpbert.backend.Backend;
import org.warpbert.model.BertConfig;
import org.warpbert.model.BertModel;
import org.warpbert.model.Parameters;
import org.warpbert.text.BatchLoader;
import org.warpbert.text.PackedBatch;

/**
 * How a classifier does on labelled examples.
 *
 * @param loss      mean cross-entropy
 * @param matthewsCorrelation coefficient, see {@link ClassificationMetrics#matthewsCorrelation}
 * @param majority  accuracy of always answering the most frequent class
 * @param truncated texts cut to the maximum length
 * @param tokens    real tokens read
 */
public record Evaluation(long examples, double loss, double accuracy, double matthewsCorrelation, double majority, int truncated,
                         long tokens, double seconds) {

    /** Runs one epoch of a loader in file order. {@code progress} receives the number of batches done. */
    static Evaluation run(Backend backend, BertConfig config, Parameters parameters, int classes, BatchLoader loader,
            IntConsumer progress) {
        long start = System.nanoTime();
        ClassificationHead head = new ClassificationHead(classes);
        ClassificationMetrics metrics = new ClassificationMetrics(classes);
        long tokens = 0;
        try (BertModel model = new BertModel(backend, config, parameters, null, head, loader.capacity(0, 1))) {
            int done = 0;
            for (Iterator<PackedBatch> batches = loader.epoch(0, 0); batches.hasNext(); ) {
                PackedBatch batch = batches.next();
                model.forward(batch);
                model.evaluate();
                float[] logits = head.logits();
                float[] losses = head.losses();
                for (int b = 0; b < batch.sequences(); b++) {
                    metrics.add(batch.labels()[b], argmax(logits, b * classes, classes), losses[b]);
                }
                tokens += batch.totalTokens();
                progress.accept(++done);
            }
        }
        return new Evaluation(metrics.examples(), metrics.loss(), metrics.accuracy(), metrics.matthewsCorrelation(), metrics.majority(),
                loader.truncated(), tokens, (System.nanoTime() - start) / 1e9);
    }

    /** Index, within a row of {@code count} values from {@code from} on, of the largest; the first of equals. */
    static int argmax(float[] values, int from, int count) {
        int best = 0;
        for (int i = 1; i < count; i++) {
            if (values[from + i] > values[from + best]) {
                best = i;
            }
        }
        return best;
    }
}
