package org.warpbert.task;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Precision;
import org.warpbert.format.ModelWriter;
import org.warpbert.memory.ProcessMemory;
import org.warpbert.model.BertConfig;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Parameters;
import org.warpbert.model.WeightFormat;
import org.warpbert.text.BatchLoader;
import org.warpbert.text.BatchOrder;
import org.warpbert.text.Capacity;
import org.warpbert.text.InstanceSource;
import org.warpbert.text.PackedBatch;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.RunFolder;
import org.warpbert.train.Summary;
import org.warpbert.train.Trainer;
import org.warpbert.train.TrainingListener;

/** Fine-tunes a BERT for a {@link Task}, from files to a run folder. */
public final class Finetune {
    /**
     * What to train on what.
     *
     * @param model     a folder, or a name of {@link org.warpbert.hub.Hub}
     * @param dev       file to judge by, or null
     * @param devSplit  share of the training file to judge by instead, or null
     * @param device    see {@link Backends#open}
     * @param precision what to compute in
     * @param out       the run folder to make
     * @param overwrite whether {@code out} may replace an earlier run
     */
    public record Options(String model, Task task, Path train, Path dev, Double devSplit, Hyperparameters hyper, String device,
                          int threads, Precision precision, Path out, boolean overwrite) {
        public Options {
            if (dev != null && devSplit != null) {
                throw new WarpBertException("--dev and --dev-split exclude each other");
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
        try (RunFolder folder = RunFolder.open(options.out, options.overwrite)) {
            readData(); // before the model is fetched: a wrong column is known at once
            try (Checkpoint checkpoint = start.get()) {
                checkpoint.checkLength(hyper.maxLength());
                task.learn(train, checkpoint, listener::note);
                InstanceSource trainSource = task.instances(train, checkpoint.tokenizer(), hyper.maxLength());
                InstanceSource devSource = dev == null ? null : task.instances(dev, checkpoint.tokenizer(), hyper.maxLength());
                try (Backend backend = Backends.open(options.device, options.threads);
                        BatchLoader trainLoader = loader(trainSource, hyper.shuffle());
                        BatchLoader devLoader = dev == null ? null : loader(devSource, false);
                        Parameters parameters = parameters(backend, checkpoint)) {
                    Summary summary = train(backend, checkpoint.config(), parameters, trainLoader, devSource, devLoader, folder);
                    write(folder, checkpoint, parameters, summary);
                    folder.commit();
                    return summary;
                }
            }
        }
    }

    private void readData() {
        train = read(options.train);
        if (options.dev != null) {
            dev = read(options.dev);
        } else if (options.devSplit != null) {
            BatchOrder.Split split = BatchOrder.split(train.size(), options.devSplit, hyper.seed());
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

    private Parameters parameters(Backend backend, Checkpoint checkpoint) {
        ParameterTable table = task.parameters(checkpoint.config());
        precision = options.precision.on(backend);
        List<String> fresh = new ArrayList<>();
        Parameters parameters = checkpoint.load(backend, table, new WeightFormat(precision.dtype(), true), hyper.seed(), fresh);
        if (!fresh.isEmpty()) {
            listener.note("made anew, not in " + options.model + ": " + String.join(", ", fresh));
        }
        return parameters;
    }

    private Summary train(Backend backend, BertConfig config, Parameters parameters, BatchLoader trainLoader, InstanceSource devSource,
            BatchLoader devLoader, RunFolder folder) {
        int stepsPerEpoch = trainLoader.batchesPerEpoch();
        long scheduled = (long) stepsPerEpoch * hyper.epochs();
        long last = hyper.steps() > 0 ? Math.min(hyper.steps(), scheduled) : scheduled;
        Capacity capacity = trainLoader.capacity(0, hyper.epochs());
        int truncated = trainLoader.truncated();
        if (truncated > 0) {
            listener.note(String.format(Locale.ROOT, "%,d of %,d training examples are cut to %d tokens",
                    truncated, train.size(), hyper.maxLength()));
        }
        List<TrainingListener.Epoch> epochs = new ArrayList<>();
        long realTokens = 0;
        long avoided = 0;
        long steps = 0;
        long skipped = 0;
        long gemmNanos = 0;
        double trainSeconds = 0;
        Map<String, Double> baseline = Map.of();
        long start = System.nanoTime();
        int devSize = dev == null ? 0 : dev.size();
        try (Trainer trainer = new Trainer(backend, config, parameters, task.head(), hyper, scheduled, capacity)) {
            listener.started(new TrainingListener.Start(task.name(), options.model, parameters.table().parameters(),
                    backend.describe(), precision.toString(), train.size(), devSize, train.skipped(), truncated, stepsPerEpoch,
                    hyper.epochs(), capacity.tokens(), backend.allocatedBytes()));
            for (int epoch = 1; epoch <= hyper.epochs() && steps < last; epoch++) {
                double lossSum = 0;
                int epochSteps = 0;
                long gemmStart = backend.gemm().nanos();
                long epochStart = System.nanoTime();
                long stepStart = epochStart;
                for (Iterator<PackedBatch> batches = trainLoader.epoch(epoch - 1, 0); batches.hasNext() && steps < last; ) {
                    PackedBatch batch = batches.next();
                    Trainer.Result result = trainer.step(batch);
                    long now = System.nanoTime();
                    TrainingListener.Step report = new TrainingListener.Step(++steps, epoch, result.loss(), result.gradNorm(),
                            result.lr(), result.lossScale(), batch.totalTokens(), batch.totalTokens() * 1e9 / (now - stepStart));
                    stepStart = now;
                    folder.metric(report);
                    listener.stepped(report);
                    lossSum += result.loss();
                    skipped += result.skipped() ? 1 : 0;
                    epochSteps++;
                    realTokens += batch.totalTokens();
                    avoided += batch.paddedTokens(hyper.maxLength()) - batch.totalTokens();
                }
                double seconds = (System.nanoTime() - epochStart) / 1e9;
                trainSeconds += seconds;
                gemmNanos += backend.gemm().nanos() - gemmStart;
                Evaluation judged = devLoader == null ? null : Evaluation.run(backend, config, parameters, task, dev, devSource, devLoader,
                        done -> listener.evaluating(done, devLoader.batchesPerEpoch()));
                baseline = judged == null ? baseline : judged.baseline();
                TrainingListener.Epoch report = new TrainingListener.Epoch(epoch, lossSum / epochSteps,
                        judged == null ? Double.NaN : judged.loss(), judged == null ? Map.of() : judged.metrics(), seconds);
                epochs.add(report);
                listener.finishedEpoch(report);
            }
        }
        return new Summary(task.name(), options.model, parameters.table().parameters(), backend.name(), backend.describe(),
                precision.toString(), hyper, hyper.seed(), task.saved(config).id2label(), train.size(), devSize, train.skipped(), truncated, steps, skipped, epochs,
                baseline, realTokens, avoided, backend.peakBytes(), ProcessMemory.peakResidentBytes(),
                gemmNanos == 0 ? Double.NaN : gemmNanos / 1e9 / trainSeconds, (System.nanoTime() - start) / 1e9);
    }

    private void write(RunFolder folder, Checkpoint checkpoint, Parameters parameters, Summary summary) {
        BertConfig config = task.saved(checkpoint.config());
        config.write(folder.staging().resolve("config.json"));
        checkpoint.tokenizer().writeFiles(folder.staging(), config.maxPositionEmbeddings());
        ModelWriter.writeTensors(folder.staging(), parameters.shapes(), parameters::host);
        folder.summary(summary);
    }
}
