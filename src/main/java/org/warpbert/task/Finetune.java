package org.warpbert.task;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
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
import org.warpbert.text.Examples;
import org.warpbert.text.LabelMap;
import org.warpbert.text.LabelledTexts;
import org.warpbert.text.PackedBatch;
import org.warpbert.text.TextTable;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.RunFolder;
import org.warpbert.train.Summary;
import org.warpbert.train.Trainer;
import org.warpbert.train.TrainingListener;

/** Fine-tunes a BERT to classify texts or pairs of texts, from files to a run folder. */
public final class Finetune {
    /**
     * What to train on what.
     *
     * @param model     a folder, or a name of {@link org.warpbert.hub.Hub}
     * @param dev       file to judge by, or null
     * @param devSplit  share of the training file to judge by instead, or null
     * @param header    whether the files' first row names the columns
     * @param text      column of the text: a header name or a 0-based index
     * @param pair      column of a second text, or null
     * @param device    see {@link Backends#open}
     * @param precision what to compute in
     * @param out       the run folder to make
     * @param overwrite whether {@code out} may replace an earlier run
     */
    public record Options(String model, Path train, Path dev, Double devSplit, boolean header, String text, String pair,
                          String label, Hyperparameters hyper, String device, int threads, Precision precision, Path out,
                          boolean overwrite) {
        public Options {
            if (dev != null && devSplit != null) {
                throw new WarpBertException("--dev and --dev-split exclude each other");
            }
        }
    }

    private final Options options;
    private final Hyperparameters hyper;
    private final TrainingListener listener;
    private Examples train;
    private Examples dev;
    private LabelMap labels;
    private Precision precision;

    private Finetune(Options options, TrainingListener listener) {
        this.options = options;
        this.hyper = options.hyper;
        this.listener = listener;
    }

    /** Trains, judges after every epoch, and leaves the run folder. */
    public static Summary run(Options options, TrainingListener listener) {
        return new Finetune(options, listener).run();
    }

    private Summary run() {
        try (RunFolder folder = RunFolder.open(options.out, options.overwrite)) {
            readData(); // before the model is fetched: a wrong column is known at once
            try (Checkpoint checkpoint = Checkpoint.open(options.model)) {
                checkpoint.checkLength(hyper.maxLength());
                chooseLabels(checkpoint);
                try (Backend backend = Backends.open(options.device, options.threads);
                        BatchLoader trainLoader = loader(checkpoint, train, hyper.shuffle());
                        BatchLoader devLoader = dev == null ? null : loader(checkpoint, dev, false);
                        Parameters parameters = parameters(backend, checkpoint)) {
                    Summary summary = train(backend, checkpoint.config(), parameters, trainLoader, devLoader, folder);
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
            BatchOrder.Split split = BatchOrder.split(train.rows().size(), options.devSplit, hyper.seed());
            dev = train.select(split.dev());
            train = train.select(split.train());
        }
    }

    private Examples read(Path file) {
        TextTable.Options table = options.header ? TextTable.Options.DEFAULT : TextTable.Options.DEFAULT.withoutHeader();
        try (TextTable rows = TextTable.open(file, table)) {
            Examples examples = Examples.read(rows, options.text, options.pair, options.label);
            if (examples.skippedEmpty() > 0) {
                listener.note(String.format(Locale.ROOT, "%s: %,d of %,d rows skipped, their text is empty",
                        file, examples.skippedEmpty(), examples.read()));
            }
            return examples;
        }
    }

    /** The head's labels where the model has a head for them, else those of the training file. */
    private void chooseLabels(Checkpoint checkpoint) {
        LabelMap seen = LabelMap.fromTraining(train);
        int classes = checkpoint.classes();
        labels = seen;
        if (classes > 0) {
            LabelMap heads = headLabels(checkpoint.config().id2label(), classes);
            if (heads != null && heads.labels().containsAll(seen.labels())) {
                labels = heads;
            } else if (classes != seen.size()) {
                listener.note("the model's head has " + classes + " classes and the training file " + seen.size()
                        + ": a new head is made");
            }
        }
    }

    /** What a head's outputs mean: id2label, or 0, 1, … where that holds placeholders or is not there. */
    private static LabelMap headLabels(List<String> id2label, int classes) {
        if (id2label != null && id2label.size() != classes) {
            return null;
        }
        if (id2label == null || LabelMap.of(id2label).placeholders()) {
            return LabelMap.numbered(classes);
        }
        return LabelMap.of(id2label);
    }

    private BatchLoader loader(Checkpoint checkpoint, Examples examples, boolean shuffle) {
        return new BatchLoader(LabelledTexts.ofClasses(checkpoint.tokenizer(), examples.rows(), labels.ids(examples),
                hyper.maxLength()), hyper.batchSize(), hyper.seed(), shuffle);
    }

    private Parameters parameters(Backend backend, Checkpoint checkpoint) {
        ParameterTable table = ClassificationHead.parameters(checkpoint.config(), labels.size());
        precision = options.precision.on(backend);
        WeightFormat format = new WeightFormat(precision.dtype(), true);
        List<String> fresh = new ArrayList<>();
        Parameters parameters = checkpoint.classes() == labels.size() || checkpoint.classes() == 0
                ? checkpoint.load(backend, table, format, hyper.seed(), fresh)
                : checkpoint.loadWithout("classifier.", backend, table, format, hyper.seed(), fresh);
        if (!fresh.isEmpty()) {
            listener.note("made anew, not in " + options.model + ": " + String.join(", ", fresh));
        }
        return parameters;
    }

    private Summary train(Backend backend, BertConfig config, Parameters parameters, BatchLoader trainLoader,
            BatchLoader devLoader, RunFolder folder) {
        int stepsPerEpoch = trainLoader.batchesPerEpoch();
        long scheduled = (long) stepsPerEpoch * hyper.epochs();
        long last = hyper.steps() > 0 ? Math.min(hyper.steps(), scheduled) : scheduled;
        Capacity capacity = trainLoader.capacity(0, hyper.epochs());
        int truncated = trainLoader.truncated();
        if (truncated > 0) {
            listener.note(String.format(Locale.ROOT, "%,d of %,d training texts are cut to %d tokens",
                    truncated, train.rows().size(), hyper.maxLength()));
        }
        List<TrainingListener.Epoch> epochs = new ArrayList<>();
        long realTokens = 0;
        long avoided = 0;
        long steps = 0;
        long skipped = 0;
        long gemmNanos = 0;
        double trainSeconds = 0;
        double majority = Double.NaN;
        long start = System.nanoTime();
        try (Trainer trainer = new Trainer(backend, config, parameters, new ClassificationHead(labels.size()), hyper,
                scheduled, capacity)) {
            listener.started(new TrainingListener.Start("classify", options.model, parameters.table().parameters(),
                    backend.describe(), precision.toString(), train.rows().size(), dev == null ? 0 : dev.rows().size(),
                    train.skippedEmpty(), truncated, stepsPerEpoch, hyper.epochs(), capacity.tokens(), backend.allocatedBytes()));
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
                Evaluation judged = devLoader == null ? null : evaluate(backend, config, parameters, devLoader);
                majority = judged == null ? majority : judged.majority();
                TrainingListener.Epoch report = new TrainingListener.Epoch(epoch, lossSum / epochSteps,
                        judged == null ? Double.NaN : judged.loss(), judged == null ? Double.NaN : judged.accuracy(),
                        judged == null ? Double.NaN : judged.matthewsCorrelation(), seconds);
                epochs.add(report);
                listener.finishedEpoch(report);
            }
        }
        return new Summary("classify", options.model, parameters.table().parameters(), backend.name(),
                backend.describe(), precision.toString(), hyper, hyper.seed(),
                labels.labels(), train.rows().size(), dev == null ? 0 : dev.rows().size(), train.skippedEmpty(), truncated,
                steps, skipped, epochs, majority, realTokens, avoided, backend.peakBytes(), ProcessMemory.peakResidentBytes(),
                gemmNanos == 0 ? Double.NaN : gemmNanos / 1e9 / trainSeconds, (System.nanoTime() - start) / 1e9);
    }

    private Evaluation evaluate(Backend backend, BertConfig config, Parameters parameters, BatchLoader loader) {
        return Evaluation.run(backend, config, parameters, labels.size(), loader,
                done -> listener.evaluating(done, loader.batchesPerEpoch()));
    }

    private void write(RunFolder folder, Checkpoint checkpoint, Parameters parameters, Summary summary) {
        BertConfig config = checkpoint.config().withLabels(labels.labels());
        config.write(folder.staging().resolve("config.json"));
        checkpoint.tokenizer().writeFiles(folder.staging(), config.maxPositionEmbeddings());
        ModelWriter.writeTensors(folder.staging(), parameters.shapes(), parameters::host);
        folder.summary(summary);
    }
}
