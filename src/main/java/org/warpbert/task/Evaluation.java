package org.warpbert.task;

import java.nio.file.Path;
import java.util.Iterator;
import java.util.Map;
import java.util.function.IntConsumer;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Precision;
import org.warpbert.model.BertConfig;
import org.warpbert.model.BertModel;
import org.warpbert.model.Head;
import org.warpbert.model.Parameters;
import org.warpbert.text.BatchLoader;
import org.warpbert.text.InstanceSource;
import org.warpbert.text.PackedBatch;

/**
 * How a model does on labelled examples.
 *
 * @param loss      mean over what has a label
 * @param metrics   the task's, by name
 * @param baseline  the same of the best answer that does not look at the text, those that are known
 * @param truncated examples cut to the maximum length
 * @param tokens    real tokens read
 */
public record Evaluation(String task, long examples, double loss, Map<String, Double> metrics, Map<String, Double> baseline,
                         int truncated, long tokens, double seconds) {

    /**
     * Judges a finished model by a file.
     *
     * @param model    folder, or name of {@link org.warpbert.hub.Hub}
     * @param progress receives the number of batches done and of all
     */
    public static Evaluation run(String model, Task task, Path file, int maxLength, int batchSize, String device, int threads,
            Precision precision, Progress progress) {
        Dataset data = task.read(file);
        try (OpenModel opened = OpenModel.load(model, device, threads, precision, checkpoint -> {
            checkpoint.checkLength(maxLength);
            task.open(checkpoint);
            return task.parameters(checkpoint.config());
        }, "complete head for " + task.name())) {
            InstanceSource source = task.instances(data, opened.tokenizer(), maxLength);
            try (BatchLoader loader = new BatchLoader(source, batchSize, 0, false)) {
                return run(opened.backend(), opened.config(), opened.parameters(), task, data, source, loader,
                        done -> progress.at(done, loader.batchesPerEpoch()));
            }
        }
    }

    /** Hears how far an evaluation is. */
    public interface Progress {
        void at(int done, int batches);
    }

    /** Runs one epoch of a loader in file order. {@code progress} receives the number of batches done. */
    static Evaluation run(Backend backend, BertConfig config, Parameters parameters, Task task, Dataset data, InstanceSource source,
            BatchLoader loader, IntConsumer progress) {
        long start = System.nanoTime();
        Head head = task.head();
        Judge judge = task.judge(data, source, head);
        double[] sums = null;
        double[] normalisers = null;
        long tokens = 0;
        try (BertModel model = new BertModel(backend, config, parameters, null, head, loader.capacity(0, 1))) {
            int done = 0;
            for (Iterator<PackedBatch> batches = loader.epoch(0, 0); batches.hasNext(); ) {
                PackedBatch batch = batches.next();
                model.forward(batch);
                model.evaluate();
                judge.add(batch);
                sums = plus(sums, head.lossSums());
                normalisers = plus(normalisers, head.normalisers(batch));
                tokens += batch.totalTokens();
                progress.accept(++done);
            }
        }
        return new Evaluation(task.name(), data.size(), Head.loss(sums, normalisers), judge.metrics(), judge.baseline(),
                loader.truncated(), tokens, (System.nanoTime() - start) / 1e9);
    }

    private static double[] plus(double[] sums, double[] more) {
        if (sums == null) {
            return more;
        }
        for (int k = 0; k < sums.length; k++) {
            sums[k] += more[k];
        }
        return sums;
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
