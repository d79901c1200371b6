package org.warpbert.check;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.backend.Precision;
import org.warpbert.bench.Timing;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.memory.MemoryBudget;
import org.warpbert.model.BertConfig;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Parameters;
import org.warpbert.model.WeightFormat;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.Schedule;
import org.warpbert.train.Trainer;
import org.warpbert.train.TrainingPlan;

/**
 * Training steps, dropout on, whose encoder is launched as graphs: the bits of the same batches, filled up, op by op; the losses of the
 * batches as they are; and what a step takes each way.
 */
final class StepGraphCheck {
    private static final String GRAPHS = "warpbert.graphs";
    private static final int CLASSES = 2;
    private static final double OF_FLOAT32 = 1e-3; // of the mean loss: sums may be cut otherwise, and steps add up
    private static final double OF_16_BITS = 0.01;
    private static final int WARMUP = 5;

    private final String device;
    private final Precision precision;
    private final BertConfig config;
    private final List<PackedBatch> batches;
    private final int repeats;

    private StepGraphCheck(String device, Precision precision) {
        boolean gpu = device.equals("cuda");
        this.device = device;
        this.precision = precision;
        config = CheckBatches.config(device);
        batches = CheckBatches.made(gpu ? 24 : 6, gpu ? 32 : 4, config.vocabSize());
        repeats = gpu ? 51 : 3;
    }

    /** How steps are taken: batches filled up or as they are, as graphs or op by op. */
    private enum Way {
        PLAIN(false, false), FILLED(true, false), GRAPHS(true, true);

        private final boolean filled;
        private final boolean asGraphs;

        Way(boolean filled, boolean asGraphs) {
            this.filled = filled;
            this.asGraphs = asGraphs;
        }
    }

    /**
     * @param weights   their hash after the last step
     * @param graphs    that are held in the end
     * @param step      a step from its batch to its result
     * @param pipelined a step among others, each asked for before the last is read
     */
    private record Run(List<Trainer.Result> results, int weights, int graphs, Timing step, Timing pipelined) {
        double meanLoss() {
            return results.stream().mapToDouble(Trainer.Result::loss).average().orElseThrow();
        }
    }

    /** bert-base's sizes on a GPU, two layers of 64 under simt. */
    static Found check(String device, Precision precision) {
        StepGraphCheck check = new StepGraphCheck(device, precision);
        Map<Way, Run> runs = new LinkedHashMap<>();
        Map<String, Object> figures = new LinkedHashMap<>();
        for (Way way : Way.values()) {
            Run run = check.run(way);
            runs.put(way, run);
            figures.put(way.name().toLowerCase(Locale.ROOT), Map.of("step", run.step, "pipelined", run.pipelined, "graphs", run.graphs));
        }
        Run plain = runs.get(Way.PLAIN);
        Run filled = runs.get(Way.FILLED);
        Run graphs = runs.get(Way.GRAPHS);
        double difference = Math.abs(filled.meanLoss() - plain.meanLoss()) / plain.meanLoss();
        figures.put("difference_of_mean_loss", difference);
        List<String> wrong = new ArrayList<>();
        if (graphs.graphs < 2 || filled.graphs + plain.graphs > 0) {
            wrong.add(graphs.graphs + " graphs were captured, and " + (filled.graphs + plain.graphs) + " without");
        }
        if (!filled.results.equals(graphs.results) || filled.weights != graphs.weights) {
            wrong.add("steps as graphs have other bits than op by op");
        }
        if (!(difference <= (precision == Precision.F32 ? OF_FLOAT32 : OF_16_BITS))) {
            wrong.add("the mean loss of filled batches is " + difference + " off that of the same as they are");
        }
        String told = String.format(Locale.ROOT, "a step %.3f ms, filled %.3f, as %d graphs %.3f; among others %.3f, %.3f, %.3f",
                1e3 * plain.step.median(), 1e3 * filled.step.median(), graphs.graphs, 1e3 * graphs.step.median(),
                1e3 * plain.pipelined.median(), 1e3 * filled.pipelined.median(), 1e3 * graphs.pipelined.median());
        return wrong.isEmpty() ? Found.passed(told, figures) : Found.failed(String.join("; ", wrong), figures);
    }

    private Run run(Way way) {
        ParameterTable table = ClassificationHead.parameters(config, CLASSES);
        int size = batches.get(0).sequences();
        Hyperparameters hyper = new Hyperparameters(1, size, CheckBatches.LONGEST, 2e-5, 0, 0.01, 1.0, 0.1, Schedule.CONSTANT, 0, 0, 7, false);
        try (Backend backend = Backends.open(device, 0, precision)) {
            Dtype dtype = backend.dtype();
            System.setProperty(GRAPHS, Boolean.toString(way.filled));
            TrainingPlan plan = new TrainingPlan(config, table, new ClassificationHead(CLASSES), dtype, 0, BatchSizes.worst(Capacity.of(CheckBatches.LONGEST, 1), size),
                    null, DeviceSpeed.assumed(backend.name()), backend.name(), MemoryBudget.limit(backend, 0), backend.freeBytes());
            plan.require();
            System.setProperty(GRAPHS, Boolean.toString(way.asGraphs));
            try (Parameters parameters = Parameters.random(backend, table, new WeightFormat(dtype, true), 7);
                    Trainer trainer = new Trainer(backend, config, parameters, new ClassificationHead(CLASSES), hyper, batches.size(), plan, line -> {
                        throw new AssertionError(line);
                    })) {
                return run(parameters, trainer);
            }
        } finally {
            System.clearProperty(GRAPHS);
        }
    }

    private Run run(Parameters parameters, Trainer trainer) {
        List<Trainer.Result> results = new ArrayList<>();
        for (PackedBatch batch : batches) {
            trainer.step(batch);
            results.add(trainer.result());
        }
        int hash = TrainingCheck.hash(parameters);
        PackedBatch batch = batches.get(0);
        Timing step = Timing.measure("step", WARMUP, repeats, () -> trainer.step(batch));
        double[] pipelined = new double[repeats];
        trainer.submit(batch);
        for (int i = 0; i < repeats; i++) {
            long start = System.nanoTime();
            trainer.submit(batch);
            pipelined[i] = (System.nanoTime() - start) * 1e-9;
        }
        trainer.finish();
        return new Run(results, hash, trainer.graphs(), step, Timing.of("pipelined", WARMUP, pipelined));
    }
}
