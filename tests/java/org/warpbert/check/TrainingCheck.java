package org.warpbert.check;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Precision;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Parameters;
import org.warpbert.model.WeightFormat;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.Schedule;
import org.warpbert.train.Trainer;

/**
 * Whole training steps on a device: their losses beside the CPU's float32, the same bits twice, and memory that stays as it
 * is. Made-up sentences of 4 to 26 tokens (the span of CoLA's), of two classes that differ in which of two words is more
 * frequent, so that there is something to learn.
 */
final class TrainingCheck {
    private static final int CLASSES = 2;
    private static final int SHORTEST = 4;
    private static final int LONGEST = 26;
    private static final double FORGET = 0.1; // of the smoothed loss: about the last ten steps

    private final String device;
    private final BertConfig config;
    private final int steps;
    private final int batchSize;

    /** @param config of the model whose steps are compared */
    TrainingCheck(String device, BertConfig config, int steps, int batchSize) {
        this.device = device;
        this.config = config;
        this.steps = steps;
        this.batchSize = batchSize;
    }

    /** Losses, gradient norms and a checksum of the weights after the last step. */
    private record Run(List<Trainer.Result> results, long weights) {
        double[] losses() {
            return results.stream().mapToDouble(Trainer.Result::loss).toArray();
        }
    }

    /** A precision's smoothed loss stays within 1% of the CPU's in float32, which takes the first {@code cpuSteps} steps only. */
    CheckReport.Found trajectory(Precision precision, double[] float32, double allowed) {
        double[] losses = run(device, precision, 0, steps).losses();
        int common = Math.min(losses.length, float32.length);
        double largest = 0;
        for (int i = 0; i < common; i++) {
            largest = Math.max(largest, Math.abs(smoothed(losses, i) - smoothed(float32, i)) / smoothed(float32, i));
        }
        Map<String, Object> figures = new LinkedHashMap<>();
        figures.put("steps", common);
        figures.put("largest_difference_of_smoothed_loss", largest);
        figures.put("allowed", allowed);
        figures.put("first_loss", losses[0]);
        figures.put("last_smoothed_loss", smoothed(losses, losses.length - 1));
        String detail = String.format(Locale.ROOT, "%d steps, smoothed loss %.4f to %.4f, at most %.2g off (%.2g allowed)", common, losses[0],
                smoothed(losses, losses.length - 1), largest, allowed);
        if (!(largest <= allowed)) {
            throw new AssertionError(detail);
        }
        return CheckReport.Found.passed(detail, figures);
    }

    /** The losses that a device's float32 gives. */
    double[] float32(String on, int count) {
        return run(on, Precision.F32, 0, count).losses();
    }

    /** Two runs with dropout give the same bits, losses and weights. */
    CheckReport.Found determinism(Precision precision) {
        Run first = run(device, precision, 0.1, steps);
        Run again = run(device, precision, 0.1, steps);
        if (!first.equals(again)) {
            throw new AssertionError("two runs of " + steps + " steps differ: " + first + " and " + again);
        }
        return CheckReport.Found.passed(steps + " steps twice, weights' checksum " + Long.toHexString(first.weights),
                Map.of("steps", steps, "weights_checksum", Long.toHexString(first.weights)));
    }

    /** The device's free memory does not shrink over {@code count} steps of all lengths, after the first tenth of them. */
    CheckReport.Found leak(Precision precision, int count) {
        try (Backend backend = Backends.open(device, 0);
                Parameters parameters = parameters(backend, precision);
                Trainer trainer = trainer(backend, parameters, 0.1, count)) {
            long free = 0;
            long held = 0;
            for (int step = 0; step < count; step++) {
                trainer.step(batch(step));
                if (step == count / 10) {
                    backend.synchronize();
                    free = backend.freeBytes();
                    held = backend.allocatedBytes();
                }
            }
            backend.synchronize();
            long lost = free - backend.freeBytes();
            long grown = backend.allocatedBytes() - held;
            boolean shared = !device.startsWith("cuda"); // the host's free memory is everybody's
            if (grown != 0 || lost > 0 && !shared) {
                throw new AssertionError(lost + " bytes of the device's memory were lost over " + count + " steps, " + grown + " of them ours");
            }
            return CheckReport.Found.passed(count + " steps, " + held + " bytes held all along" + (shared ? "" : ", free memory flat"),
                    Map.of("steps", count, "held_bytes", held));
        }
    }

    private Run run(String on, Precision precision, double dropout, int count) {
        try (Backend backend = Backends.open(on, 0);
                Parameters parameters = parameters(backend, precision);
                Trainer trainer = trainer(backend, parameters, dropout, count)) {
            List<Trainer.Result> results = new ArrayList<>();
            for (int step = 0; step < count; step++) {
                results.add(trainer.step(batch(step)));
            }
            long checksum = 0;
            for (String name : parameters.shapes().keySet()) {
                for (float value : parameters.get(name)) {
                    checksum = 31 * checksum + Float.floatToRawIntBits(value);
                }
            }
            return new Run(results, checksum);
        }
    }

    private Parameters parameters(Backend backend, Precision precision) {
        return Parameters.random(backend, ClassificationHead.parameters(config, CLASSES), new WeightFormat(precision.on(backend).dtype(), true), 7);
    }

    private Trainer trainer(Backend backend, Parameters parameters, double dropout, int count) {
        Hyperparameters hyper = new Hyperparameters(1, batchSize, LONGEST, 1e-4, count / 10, 0.01, 1.0, dropout, Schedule.LINEAR, 0, 0, 7, false);
        return new Trainer(backend, config, parameters, new ClassificationHead(CLASSES), hyper, count, Capacity.of(batchSize * LONGEST, batchSize));
    }

    private PackedBatch batch(int step) {
        SplittableRandom random = new SplittableRandom(1000 + step);
        List<Encoded> sequences = new ArrayList<>();
        int[] labels = new int[batchSize];
        for (int b = 0; b < batchSize; b++) {
            labels[b] = random.nextInt(CLASSES);
            int[] tokens = new int[random.nextInt(SHORTEST, LONGEST + 1)];
            for (int t = 0; t < tokens.length; t++) {
                tokens[t] = random.nextInt(4) == 0 ? 5 + labels[b] : random.nextInt(10, config.vocabSize());
            }
            sequences.add(new Encoded(tokens, new byte[tokens.length], false));
        }
        return PackedBatch.of(sequences, labels);
    }

    /** Exponential mean up to step {@code last}, started unbiased. */
    static double smoothed(double[] losses, int last) {
        double sum = 0;
        double weight = 0;
        for (int i = 0; i <= last; i++) {
            sum += FORGET * (losses[i] - sum);
            weight += FORGET * (1 - weight);
        }
        return sum / weight;
    }
}
