package org.warpbert.task;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.Map;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.Parameters;
import org.warpbert.model.PlannedModel;
import org.warpbert.text.BatchLoader;
import org.warpbert.text.InstanceSource;
import org.warpbert.text.PackedBatch;

/**
 * How a model does on labelled examples.
 *
 * @param loss      mean over what has a label
 * @param metrics   the task's, by name
 * @param baseline  the same of the best answer that does not look at the text, those that are known
 * @param byType    the same for each type of what is looked for, where the task has types
 * @param truncated examples cut to the maximum length
 * @param tokens    real tokens read
 */
public record Evaluation(String task, long examples, double loss, Map<String, Double> metrics, Map<String, Double> baseline,
                         @JsonInclude(JsonInclude.Include.NON_EMPTY) Map<String, Map<String, Double>> byType, int truncated, long tokens, double seconds) {

    /**
     * Judges a finished model by a file.
     *
     * @param model    folder, or name of {@link org.warpbert.hub.Hub}
     * @param progress receives the number of batches done and of all
     */
    public static Evaluation run(String model, Task task, Path file, int maxLength, int batchSize, Compute compute, Progress progress) {
        Dataset data = task.read(file);
        try (OpenModel opened = OpenModel.load(model, compute, progress::note, checkpoint -> {
            checkpoint.checkLength(maxLength);
            task.open(checkpoint);
            return task.parameters(checkpoint.config());
        }, "complete head for " + task.name())) {
            InstanceSource source = task.instances(data, opened.tokenizer(), maxLength);
            try (BatchLoader loader = new BatchLoader(source, batchSize, 0, false)) {
                return run(opened.backend(), opened.config(), opened.parameters(), task, data, source, loader, progress);
            }
        }
    }

    /** Hears how far an evaluation is, and lines that the user should read. */
    public interface Progress {
        void at(int done, int batches);

        default void note(String line) {}
    }

    /** Runs one epoch of a loader in file order. */
    static Evaluation run(Backend backend, BertConfig config, Parameters parameters, Task task, Dataset data, InstanceSource source,
            BatchLoader loader, Progress progress) {
        long start = System.nanoTime();
        Head head = task.head();
        Judge judge = task.judge(data, source, head);
        Sums sums = new Sums();
        Sums normalisers = new Sums();
        long tokens = 0;
        try (PlannedModel model = PlannedModel.inference(backend, config, parameters, head, loader.sizes(0, 1), progress::note)) {
            int done = 0;
            for (Iterator<PackedBatch> batches = loader.epoch(0, 0); batches.hasNext(); ) {
                PackedBatch batch = batches.next();
                model.infer(batch, true, (pass, part) -> {
                    judge.add(part);
                    sums.add(head.lossSums());
                    normalisers.add(head.normalisers(part));
                });
                tokens += batch.totalTokens();
                progress.at(++done, loader.batchesPerEpoch());
            }
        }
        return new Evaluation(task.name(), data.size(), Head.loss(sums.values, normalisers.values), judge.metrics(), judge.baseline(),
                judge.byType(), loader.truncated(), tokens, (System.nanoTime() - start) / 1e9);
    }

    /** Sums of each term. */
    private static final class Sums {
        private double[] values;

        void add(double[] more) {
            if (values == null) {
                values = new double[more.length];
            }
            for (int k = 0; k < more.length; k++) {
                values[k] += more[k];
            }
        }
    }

    /** Index, within a row of {@code count} values from {@code from} on, of the largest; the first of equals. NaN is an error. */
    static int argmax(float[] values, int from, int count) {
        int best = 0;
        for (int i = 0; i < count; i++) {
            if (number(values[from + i]) > values[from + best]) {
                best = i;
            }
        }
        return best;
    }

    /** What a model says, as it is; of NaN and infinity no answer can be made: an error. */
    static float number(float value) {
        if (!Float.isFinite(value)) {
            throw new WarpBertException("the model's answer is not a finite number: its weights are damaged, or too large for the precision (--precision)");
        }
        return value;
    }
}
