package org.warpbert.check;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BiFunction;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Precision;
import org.warpbert.format.ModelFolder;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Parameters;
import org.warpbert.model.WeightFormat;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.Schedule;
import org.warpbert.train.Trainer;

/** Whole training steps on a device: their losses beside a reference's, the same bits twice, and memory that stays as it is. */
final class TrainingCheck {
    private static final int CLASSES = 2;
    private static final long SEED = 7;
    private static final double FORGET = 0.1; // of the smoothed loss: about the last ten steps
    private static final double OF_FLOAT32 = 1e-3; // two float32 runs, sums in other orders, after so many steps
    private static final double OF_16_BITS = 0.01;
    private static final int MOST_CPU_STEPS = 20; // of bert-base: a second each

    private final String device;
    private final BertConfig config;
    private final double lr;
    private final int cpuSteps;
    private final List<PackedBatch> batches;
    private final BiFunction<Backend, WeightFormat, Parameters> weights;

    private TrainingCheck(String device, BertConfig config, double lr, int cpuSteps, List<PackedBatch> batches,
            BiFunction<Backend, WeightFormat, Parameters> weights) {
        this.device = device;
        this.config = config;
        this.lr = lr;
        this.cpuSteps = cpuSteps;
        this.batches = batches;
        this.weights = weights;
    }

    /** Two layers of 64: 100 steps on a GPU, some under simt. */
    static TrainingCheck small(String device) {
        boolean gpu = device.equals("cuda");
        BertConfig config = BertConfig.ofSizes(200, 64, 2, 2, 128, 64, 2);
        return made(device, config, 1e-3, Integer.MAX_VALUE, gpu ? 100 : 8, gpu ? 32 : 4);
    }

    /** bert-base's sizes, fresh weights. */
    static TrainingCheck bertBase(String device) {
        return made(device, BertConfig.ofSizes(30522, 768, 12, 12, 3072, 512, 2), 2e-5, MOST_CPU_STEPS, 50, 32);
    }

    private static TrainingCheck made(String device, BertConfig config, double lr, int cpuSteps, int steps, int size) {
        return new TrainingCheck(device, config, lr, cpuSteps, CheckBatches.made(steps, size, config.vocabSize()),
                (backend, format) -> Parameters.random(backend, ClassificationHead.parameters(config, CLASSES), format, SEED));
    }

    /** A model's own weights on a file of CoLA's format, 100 batches of it. */
    static TrainingCheck own(String device, Path model, Path train) {
        try (ModelFolder folder = ModelFolder.open(model)) {
            BertConfig config = folder.config();
            return new TrainingCheck(device, config, 2e-5, MOST_CPU_STEPS, CheckBatches.of(train, folder, 100, 32), (backend, format) -> {
                try (ModelFolder again = ModelFolder.open(model)) {
                    return Parameters.load(backend, ClassificationHead.parameters(config, CLASSES), again.tensors(), format, SEED, new ArrayList<>());
                }
            });
        }
    }

    /** The results of all steps and a checksum of the weights after the last. */
    private record Run(List<Trainer.Result> results, int weights) {
        double[] losses() {
            return results.stream().mapToDouble(Trainer.Result::loss).toArray();
        }
    }

    /** The device's float32 beside the CPU's. */
    Found besideCpu() {
        int steps = Math.min(cpuSteps, batches.size());
        return trajectory("the CPU's", run(device, Precision.F32, 0, batches.size()), run("cpu", Precision.F32, 0, steps), OF_FLOAT32);
    }

    /** A precision beside the same device's float32. */
    Found besideFloat32(Precision precision) {
        return trajectory("float32's", run(device, precision, 0, batches.size()), run(device, Precision.F32, 0, batches.size()), OF_16_BITS);
    }

    private static Found trajectory(String whose, Run run, Run reference, double allowed) {
        double[] losses = run.losses();
        double[] expected = reference.losses();
        double largest = 0;
        for (int i = 0; i < expected.length; i++) {
            double difference = Math.abs(smoothed(losses, i) - smoothed(expected, i)) / smoothed(expected, i);
            largest = difference <= largest ? largest : difference; // NaN stays
        }
        long skipped = run.results.stream().filter(Trainer.Result::skipped).count();
        Map<String, Object> figures = new LinkedHashMap<>();
        figures.put("steps", losses.length);
        figures.put("steps_compared", expected.length);
        figures.put("steps_skipped", skipped);
        figures.put("largest_difference_of_smoothed_loss", largest);
        figures.put("allowed", allowed);
        figures.put("losses", losses);
        String detail = String.format(Locale.ROOT, "smoothed loss at most %.2g off %s over %d steps (%.2g allowed), %.4f to %.4f%s", largest, whose,
                expected.length, allowed, losses[0], smoothed(losses, losses.length - 1), skipped == 0 ? "" : ", " + skipped + " steps skipped");
        return largest <= allowed ? Found.passed(detail, figures) : Found.failed(detail, figures);
    }

    /** Two runs with dropout give the same bits: losses, gradient norms and weights. */
    Found determinism(Precision precision) {
        Run first = run(device, precision, 0.1, batches.size());
        Run again = run(device, precision, 0.1, batches.size());
        Map<String, Object> figures = Map.of("steps", batches.size(), "weights_hash", Integer.toHexString(first.weights));
        if (first.equals(again)) {
            return Found.passed(batches.size() + " steps twice, the weights' hash is " + Integer.toHexString(first.weights), figures);
        }
        int step = 0;
        while (step < batches.size() && first.results.get(step).equals(again.results.get(step))) {
            step++;
        }
        return Found.failed(step < batches.size() ? "step " + (step + 1) + " is " + first.results.get(step) + ", then " + again.results.get(step)
                : "the losses are the same, the weights are not", figures);
    }

    /**
     * What is held does not grow over {@code count} steps with the same batches again and again, after two rounds of them, in
     * which libraries load code and what came back is captured. Of a GPU, free memory is looked at as well, which other processes must leave alone.
     */
    Found leak(Precision precision, int count) {
        try (Backend backend = Backends.open(device, 0, precision);
                Parameters parameters = weights.apply(backend, format(backend));
                Trainer trainer = trainer(backend, parameters, 0.1, count)) {
            long free = 0;
            long held = 0;
            for (int step = 0; step < count; step++) {
                trainer.submit(batches.get(step % batches.size()));
                if (step == 2 * batches.size()) {
                    backend.synchronize();
                    free = backend.freeBytes();
                    held = backend.allocatedBytes();
                }
            }
            backend.synchronize();
            boolean own = device.equals("cuda"); // the host's memory is everybody's
            long lost = own ? free - backend.freeBytes() : 0;
            long grown = backend.allocatedBytes() - held;
            Map<String, Object> figures = Map.of("steps", count, "held_bytes", held, "grown_bytes", grown, "lost_bytes", lost);
            return grown == 0 && lost <= 0 ? Found.passed(count + " steps, " + held + " bytes held all along" + (own ? ", free memory flat" : ""), figures)
                    : Found.failed(grown + " bytes more are held after " + count + " steps, " + lost + " bytes less are free on the device", figures);
        }
    }

    private Run run(String on, Precision precision, double dropout, int count) {
        try (Backend backend = Backends.open(on, 0, precision);
                Parameters parameters = weights.apply(backend, format(backend));
                Trainer trainer = trainer(backend, parameters, dropout, batches.size())) {
            List<Trainer.Result> results = new ArrayList<>();
            for (PackedBatch batch : batches.subList(0, count)) {
                add(results, trainer, trainer.submit(batch)); // as a run does: the host ahead of the device
            }
            add(results, trainer, trainer.finish());
            return new Run(results, hash(parameters));
        }
    }

    /** A checksum of all weights. */
    static int hash(Parameters parameters) {
        int hash = 0;
        for (String name : parameters.shapes().keySet()) {
            for (float value : parameters.get(name)) {
                hash = 31 * hash + Float.floatToRawIntBits(value);
            }
        }
        return hash;
    }

    private static void add(List<Trainer.Result> results, Trainer trainer, boolean news) {
        if (news) {
            results.add(trainer.result());
        }
    }

    private static WeightFormat format(Backend backend) {
        return new WeightFormat(backend.dtype(), true);
    }

    private Trainer trainer(Backend backend, Parameters parameters, double dropout, int steps) {
        int size = batches.get(0).sequences();
        Hyperparameters hyper = new Hyperparameters(1, size, CheckBatches.LONGEST, lr, steps / 10, 0.01, 1.0, dropout, Schedule.LINEAR, 0, 0, SEED, false);
        Capacity capacity = batches.stream().map(Capacity::of).reduce(Capacity.NONE, Capacity::max);
        return new Trainer(backend, config, parameters, new ClassificationHead(CLASSES), hyper, steps, capacity);
    }

    /** Exponential mean up to step {@code last}, without the bias of its start. */
    private static double smoothed(double[] losses, int last) {
        double sum = 0;
        double weight = 0;
        for (int i = 0; i <= last; i++) {
            sum += FORGET * (losses[i] - sum);
            weight += FORGET * (1 - weight);
        }
        return sum / weight;
    }
}
