package org.warpbert.task;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.function.Supplier;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.backend.OutOfDeviceMemory;
import org.warpbert.backend.Precision;
import org.warpbert.format.ModelWriter;
import org.warpbert.format.TensorSource;
import org.warpbert.memory.BatchPlanner;
import org.warpbert.memory.ByteSize;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.memory.MemoryBudget;
import org.warpbert.memory.ProcessMemory;
import org.warpbert.memory.Recompute;
import org.warpbert.memory.Retry;
import org.warpbert.model.BertConfig;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Parameters;
import org.warpbert.model.WeightFormat;
import org.warpbert.text.BatchLoader;
import org.warpbert.text.BatchOrder;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.InstanceSource;
import org.warpbert.text.PackedBatch;
import org.warpbert.text.WordPieceTokenizer;
import org.warpbert.train.BestEpoch;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.RunFolder;
import org.warpbert.train.SavedRun;
import org.warpbert.train.Saving;
import org.warpbert.train.Summary;
import org.warpbert.train.Trainer;
import org.warpbert.train.TrainingListener;
import org.warpbert.train.TrainingPlan;

/** Fine-tunes a BERT for a {@link Task}, from files to a run folder. */
public final class Finetune {
    /**
     * What to train on what.
     *
     * @param model     a folder, or a name of {@link org.warpbert.hub.Hub}
     * @param train     file to learn from, in the task's format
     * @param dev       file to judge by, or null
     * @param devSplit  share of the training file to judge by instead, between 0 and 1, or null
     * @param out       the run folder to make
     * @param overwrite whether {@code out} may replace an earlier run
     * @param saving    whether it can go on when it is stopped
     */
    public record Options(String model, Task task, Path train, Path dev, Double devSplit, Hyperparameters hyper, Compute compute,
                          Path out, boolean overwrite, Saving saving) {
        /** Of a run that leaves nothing when it is stopped. */
        public Options(String model, Task task, Path train, Path dev, Double devSplit, Hyperparameters hyper, Compute compute, Path out, boolean overwrite) {
            this(model, task, train, dev, devSplit, hyper, compute, out, overwrite, Saving.NONE);
        }

        public Options {
            Objects.requireNonNull(task, "task");
            Objects.requireNonNull(train, "train");
            Objects.requireNonNull(hyper, "hyper");
            Objects.requireNonNull(compute, "compute");
            Objects.requireNonNull(out, "out");
            Objects.requireNonNull(saving, "saving");
            if (dev != null && devSplit != null) {
                throw new WarpBertException("a dev file (--dev) and a share of the training data to judge by (--dev-split) exclude each other");
            }
            if (hyper.selection().judges() && dev == null && devSplit == null) {
                throw new WarpBertException("patience (--patience) and the best epoch's weights (--keep best) need data to judge by (--dev or --dev-split)");
            }
        }
    }

    private final Options options;
    private final Supplier<Checkpoint> start;
    private final Task task;
    private final Hyperparameters hyper;
    private final TrainingListener listener;
    private Dataset train;
    private Dataset dev;
    private Precision precision;

    private Finetune(Options options, Supplier<Checkpoint> start, TrainingListener listener) {
        this.options = options;
        this.start = start;
        this.task = options.task;
        this.hyper = options.hyper;
        this.listener = listener;
    }

    /** Trains, judges after every epoch, and leaves the run folder. */
    public static Summary run(Options options, TrainingListener listener) {
        return run(options, () -> Checkpoint.open(options.model), listener);
    }

    /**
     * As {@link #run(Options, TrainingListener)}, from a model made otherwise: a new one, or one with more tokens.
     *
     * @param start called once, after the data were read; {@code options.model} is then what the model is called
     */
    public static Summary run(Options options, Supplier<Checkpoint> start, TrainingListener listener) {
        return new Finetune(options, start, listener).run();
    }

    private Summary run() {
        try (RunFolder folder = RunFolder.open(options.out, options.overwrite, options.saving.resume())) {
            readData(); // before the model is fetched: a wrong column is known at once
            try (Checkpoint checkpoint = start.get()) {
                checkpoint.checkLength(hyper.maxLength());
                hyper.layerRates().check(checkpoint.config());
                task.learn(train, checkpoint, listener::note);
                InstanceSource trainSource = task.instances(train, checkpoint.tokenizer(), hyper.maxLength());
                InstanceSource devSource = dev == null ? null : task.instances(dev, checkpoint.tokenizer(), hyper.maxLength());
                try (Backend backend = Backends.open(options.compute.device(), options.compute.threads(), options.compute.precision());
                        BatchLoader trainLoader = loader(trainSource, hyper.shuffle());
                        BatchLoader devLoader = dev == null ? null : loader(devSource, false)) {
                    TrainingPlan plan = plan(backend, checkpoint.config(), trainLoader, devLoader);
                    try (Parameters parameters = Retry.once(() -> parameters(backend, checkpoint, folder.saved()), listener::note)) {
                        Summary summary = train(backend, checkpoint, parameters, plan, trainLoader, devSource, devLoader, folder);
                        write(folder, checkpoint, parameters, summary);
                        folder.commit();
                        return summary;
                    } catch (OutOfDeviceMemory e) {
                        throw new WarpBertException(e.getMessage() + "; the run was planned to take " + ByteSize.format(plan.memory().bytes())
                                + ": free so much, or give it less (--memory)", e);
                    }
                }
            }
        }
    }

    private void readData() {
        train = read(options.train);
        if (options.dev != null) {
            dev = read(options.dev);
        } else if (options.devSplit != null) {
            BatchOrder.Split split = train.split(options.devSplit, hyper.seed());
            dev = train.select(split.dev());
            train = train.select(split.train());
        }
    }

    private Dataset read(Path file) {
        Dataset data = task.read(file);
        data.notes().forEach(listener::note);
        return data;
    }

    private BatchLoader loader(InstanceSource source, boolean shuffle) {
        return new BatchLoader(source, hyper.batchSize(), hyper.seed(), shuffle);
    }

    /** All that the run will hold, by the real lengths of all its batches; an error where that cannot fit. */
    private TrainingPlan plan(Backend backend, BertConfig config, BatchLoader trainLoader, BatchLoader devLoader) {
        BatchSizes trainSizes = trainLoader.sizes(0, hyper.epochsBegun(trainLoader.batchesPerEpoch()));
        BatchSizes devSizes = devLoader == null ? null : devLoader.sizes(0, 1);
        precision = backend.precision();
        // of a process whose data are there, its batches not yet
        MemoryBudget budget = MemoryBudget.limit(backend, options.compute.memory(), BatchLoader.readyBytes(trainSizes.largest()));
        TrainingPlan plan = new TrainingPlan(config, task.parameters(config), task.head(), backend.dtype(), hyper.layerRates().frozenLevels(), trainSizes, devSizes,
                DeviceSpeed.assumed(backend.name()), backend.name(), budget, backend.freeBytes());
        plan.require();
        if (plan.choice().parts() > 1 || plan.choice().recompute() != Recompute.NONE || plan.moments() != Dtype.F32) {
            listener.note(plan.describe());
        }
        return plan;
    }

    private Parameters parameters(Backend backend, Checkpoint checkpoint, SavedRun saved) {
        ParameterTable table = task.parameters(checkpoint.config());
        WeightFormat format = new WeightFormat(backend.dtype(), true);
        List<String> fresh = new ArrayList<>();
        if (saved != null) {
            try (TensorSource weights = saved.weights()) {
                return Parameters.load(backend, table, weights, format, hyper.seed(), fresh);
            }
        }
        Parameters parameters = checkpoint.load(backend, table, format, hyper.seed(), fresh);
        if (!fresh.isEmpty()) {
            listener.note("made anew, not in " + options.model + ": " + String.join(", ", fresh));
        }
        return parameters;
    }

    private Summary train(Backend backend, Checkpoint checkpoint, Parameters parameters, TrainingPlan plan, BatchLoader trainLoader,
            InstanceSource devSource, BatchLoader devLoader, RunFolder folder) {
        BertConfig config = checkpoint.config();
        int stepsPerEpoch = trainLoader.batchesPerEpoch();
        long scheduled = (long) stepsPerEpoch * hyper.epochs();
        long last = hyper.steps() > 0 ? Math.min(hyper.steps(), scheduled) : scheduled;
        int truncated = trainLoader.truncated();
        if (truncated > 0) {
            listener.note(String.format(Locale.ROOT, "%,d of %,d training examples are %s",
                    truncated, train.size(), task.truncation(hyper.maxLength())));
        }
        RunLog log = new RunLog(folder, listener, backend.gemm());
        JsonNode settings = options.saving.equals(Saving.NONE) ? null : settings(config, checkpoint.tokenizer(), backend, folder.saved());
        int devSize = dev == null ? 0 : dev.size();
        int saveEvery = options.saving.every();
        BestEpoch best = dev == null ? null : new BestEpoch(hyper.selection(), task.metrics());
        if (folder.saved() != null) {
            folder.saved().progress(Progress.class).restore(log, best);
        }
        long steps = log.steps();
        boolean over = best != null && best.isOver();
        BatchPlanner.Choice used;
        try (Trainer trainer = new Trainer(backend, config, parameters, task.head(), hyper, scheduled, plan,
                listener::note)) {
            listener.started(new TrainingListener.Start(task.name(), options.model, parameters.table().parameters(),
                    backend.describe(), precision.toString(), train.size(), devSize, train.skipped(), truncated, stepsPerEpoch, hyper.epochs(),
                    plan.planner().largest().tokens(), plan.memory().bytes()));
            if (folder.saved() != null) {
                folder.saved().restore(trainer);
                listener.note("going on after step " + steps + " of " + last);
            }
            for (int epoch = log.epochs().size() + 1; epoch <= hyper.epochs() && (steps < last || log.openEpoch()) && !over; epoch++) {
                log.begin();
                int firstBatch = (int) (steps - (long) (epoch - 1) * stepsPerEpoch);
                for (Iterator<PackedBatch> batches = trainLoader.epoch(epoch - 1, firstBatch); batches.hasNext() && steps < last; steps++) {
                    PackedBatch batch = batches.next();
                    log.begin(batch, hyper.maxLength());
                    if (trainer.submit(batch)) {
                        log.add(trainer.result());
                    }
                    if (saveEvery > 0 && (steps + 1) % saveEvery == 0) {
                        pause(trainer, log);
                        folder.save(settings, Progress.of(log, best), parameters, trainer);
                        log.begin();
                    }
                }
                pause(trainer, log);
                Evaluation judged = null;
                if (devLoader != null) {
                    trainer.release();
                    judged = Evaluation.run(backend, config, parameters, task, dev, devSource, devLoader, new Judging());
                }
                TrainingListener.Epoch report = log.finish(judged);
                if (best != null) {
                    if (best.add(epoch, report.devLoss(), report.metrics()) && hyper.selection().keepBest()) {
                        writeModel(folder, config, parameters);
                    }
                    over = best.isOver();
                }
                if (saveEvery > 0 && steps < last && !over) { // so that what was judged is not judged again, nor the best epoch's weights lost
                    folder.save(settings, Progress.of(log, best), parameters, trainer);
                }
            }
            used = trainer.choice();
        }
        if (over && steps < last) {
            listener.note("stopped after epoch " + log.epochs().size() + ": " + best.metric() + " was not better for " + hyper.selection().patience() + " epochs");
        }
        int kept = hyper.selection().keepBest() ? best.epoch() : log.epochs().size();
        return new Summary(task.name(), options.model, parameters.table().parameters(), backend.name(), backend.describe(),
                precision.toString(), hyper, hyper.seed(), task.saved(config).id2label(), train.size(), devSize, train.skipped(), truncated, log.steps(), log.skipped(), log.epochs(), kept,
                log.baseline(), log.tokens(), log.avoided(), plan.kept(used), backend.peakBytes(), ProcessMemory.peakResidentBytes(),
                log.gemmShare(), log.elapsed());
    }

    /** Waits for the step that is under way, and stops the clock. */
    private static void pause(Trainer trainer, RunLog log) {
        if (trainer.finish()) {
            log.add(trainer.result());
        }
        log.pause();
    }

    /** What decides the result; an error where the run to go on with had others. */
    private JsonNode settings(BertConfig config, WordPieceTokenizer tokenizer, Backend backend, SavedRun saved) {
        JsonNode settings = RunSettings.of(options, String.valueOf(task.saved(config).id2label()), tokenizer, precision.toString(), backend.name()).json();
        if (saved != null) {
            saved.requireSame(settings);
        }
        return settings;
    }

    /** What a run knows of itself beside weights and trainer, to go on from; {@code best} is null where there is nothing to judge by. */
    private record Progress(RunLog.State log, BestEpoch.State best) {
        static Progress of(RunLog log, BestEpoch best) {
            return new Progress(log.state(), best == null ? null : best.state());
        }

        void restore(RunLog newLog, BestEpoch newBest) {
            newLog.restore(log);
            if (best != null) {
                newBest.restore(best);
            }
        }
    }

    /** Hears of an evaluation and tells the run's listener. */
    private final class Judging implements Evaluation.Progress {
        @Override
        public void at(int done, int batches) {
            listener.evaluating(done, batches);
        }

        @Override
        public void note(String line) {
            listener.note(line);
        }
    }

    private void write(RunFolder folder, Checkpoint checkpoint, Parameters parameters, Summary summary) {
        checkpoint.tokenizer().writeFiles(folder.staging(), checkpoint.config().maxPositionEmbeddings());
        if (!hyper.selection().keepBest()) { // else the best epoch's is there already
            writeModel(folder, checkpoint.config(), parameters);
        }
        folder.summary(summary);
    }

    /** Weights, and the configuration with what the task learned from the last evaluation: they belong together. */
    private void writeModel(RunFolder folder, BertConfig config, Parameters parameters) {
        task.saved(config).write(folder.staging().resolve("config.json"));
        ModelWriter.writeTensors(folder.staging(), parameters.shapes(), parameters::host);
    }
}
