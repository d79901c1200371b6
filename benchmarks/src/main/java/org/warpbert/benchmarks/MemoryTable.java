package org.warpbert.benchmarks;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import org.warpbert.bench.BenchModel;
import org.warpbert.bench.Timing;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.BatchPlanner.Choice;
import org.warpbert.memory.ByteSize;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.memory.MemoryBudget;
import org.warpbert.model.BertConfig;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Parameters;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.Trainer;
import org.warpbert.train.TrainingPlan;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * What the planner chooses for budgets from everything down to just above the weights, and what it costs: rows of the table in
 * docs/memory.md. Weights are random; what a step takes does not depend on them.
 */
@Command(name = "memory-table", mixinStandardHelpOptions = true, sortOptions = false,
        description = "A Markdown table of budgets, plans, and their predicted and measured cost.")
public final class MemoryTable implements Callable<Integer> {
    private static final double SHRINK = 0.6; // what of the room above the least each row leaves to the next

    @Option(names = "--model", defaultValue = "base", description = "Size: tiny, mini, small, medium, base, large (default ${DEFAULT-VALUE}).")
    private String model;

    @Option(names = "--batch-size", defaultValue = "10", description = "Default ${DEFAULT-VALUE}.")
    private int batchSize;

    @Option(names = "--max-length", defaultValue = "512", description = "Of every sequence (default ${DEFAULT-VALUE}).")
    private int maxLength;

    @Option(names = "--budgets", defaultValue = "8", description = "Rows: how many budgets (default ${DEFAULT-VALUE}).")
    private int budgets;

    @Option(names = "--steps", defaultValue = "2", description = "Measured steps for each, after one to warm up; 0: predictions only (default ${DEFAULT-VALUE}).")
    private int steps;

    @Option(names = "--device", defaultValue = "cpu", description = "Default ${DEFAULT-VALUE}.")
    private String device;

    @Option(names = "--threads", defaultValue = "0", description = "0: as many as there are cores (default).")
    private int threads;

    @Option(names = "--assumed", description = "Predict by assumed speeds rather than measured ones: for a machine that is busy.")
    private boolean assumed;

    public static void main(String[] args) {
        System.exit(new CommandLine(new MemoryTable()).execute(args));
    }

    @Override
    public Integer call() {
        BertConfig config = BenchModel.of("random:bert-" + model).config();
        ParameterTable table = ClassificationHead.parameters(config, 2);
        BatchSizes sizes = BatchSizes.worst(Capacity.of(maxLength, 1), batchSize);
        try (Backend backend = Backends.open(device, threads)) {
            DeviceSpeed speed = assumed ? DeviceSpeed.assumed(backend.name()) : DeviceSpeed.measure(backend);
            long least = plan(backend, config, table, sizes, speed, 0).memory().bytes();
            long all = plan(backend, config, table, sizes, speed, Long.MAX_VALUE / 2).memory().bytes();
            System.out.println("| planned | micro-batch | parts | recomputed | moments | predicted | measured |");
            System.out.println("|---:|---:|---:|---|---|---:|---:|");
            double[] fastest = {0, 0};
            try (Parameters parameters = steps == 0 ? null : Parameters.random(backend, table, 1)) {
                for (int i = 0; i < budgets; i++) {
                    long budget = i == budgets - 1 ? least : least + (long) ((all - least) * Math.pow(SHRINK, i));
                    TrainingPlan plan = plan(backend, config, table, sizes, speed, budget);
                    Choice choice = plan.choice();
                    double measured = steps == 0 ? Double.NaN : measure(backend, config, parameters, plan, budget);
                    if (i == 0) {
                        fastest[0] = choice.seconds();
                        fastest[1] = measured;
                    }
                    System.out.println(String.format(Locale.ROOT, "| %s | %,d | %d | %s | %s | %.2f s (%.2f) | %s |", ByteSize.format(plan.memory().bytes()),
                            choice.microBatch().tokens(), choice.parts(), choice.recompute(), plan.moments(), choice.seconds(), choice.seconds() / fastest[0],
                            steps == 0 ? "" : String.format(Locale.ROOT, "%.2f s (%.2f)", measured, measured / fastest[1])));
                }
            }
            System.out.println();
            System.out.println("On " + backend.describe());
        }
        return 0;
    }

    private static TrainingPlan plan(Backend backend, BertConfig config, ParameterTable table, BatchSizes sizes, DeviceSpeed speed, long own) {
        return new TrainingPlan(config, table, new ClassificationHead(2), Dtype.F32, 0, sizes, null, speed, backend.name(), new MemoryBudget(own, 0), own);
    }

    /** Median seconds of a step in so many bytes. */
    private double measure(Backend backend, BertConfig config, Parameters parameters, TrainingPlan plan, long budget) {
        SplittableRandom random = new SplittableRandom(7);
        List<Encoded> sequences = new ArrayList<>();
        for (int b = 0; b < batchSize; b++) {
            sequences.add(new Encoded(random.ints(maxLength, 0, config.vocabSize()).toArray(), new byte[maxLength], false));
        }
        PackedBatch batch = PackedBatch.of(sequences, random.ints(batchSize, 0, 2).toArray());
        backend.limit(budget);
        try (Trainer trainer = new Trainer(backend, config, parameters, new ClassificationHead(2), Hyperparameters.DEFAULT, 100, plan,
                System.err::println)) {
            if (backend.allocatedBytes() != plan.memory().bytes()) {
                throw new IllegalStateException(backend.allocatedBytes() + " bytes are held, " + plan.memory().bytes() + " were planned");
            }
            trainer.step(batch);
            double[] seconds = new double[steps];
            for (int step = 0; step < steps; step++) {
                long start = System.nanoTime();
                trainer.step(batch);
                seconds[step] = (System.nanoTime() - start) / 1e9;
            }
            return Timing.of("step", 1, seconds).median();
        } finally {
            backend.limit(Long.MAX_VALUE);
        }
    }
}
