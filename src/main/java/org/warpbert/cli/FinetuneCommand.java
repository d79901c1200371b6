package org.warpbert.cli;

import java.nio.file.Path;
import java.util.function.Supplier;
import org.warpbert.task.Checkpoint;
import org.warpbert.task.Finetune;
import org.warpbert.task.Task;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.Summary;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** From a pretrained model and a data file to a run folder. */
@Command(name = "finetune", description = "Fine-tune a model on a file of labelled examples.",
        footer = {"", TaskOptions.DEFAULTS, "Tables are .tsv, .txt, .csv, .jsonl or .ndjson, or any of these with .gz.",
                "  warpbert finetune --model bert-base-uncased --train cola.tsv --no-header --text 3 --label 1 --dev-split 0.1 --out runs/cola",
                "  warpbert finetune @recipes/cola.args --train cola.tsv --dev-split 0.1 --out runs/cola",
                "  warpbert finetune @recipes/stsb.args --train sts-train.csv --dev sts-dev.csv --out runs/stsb",
                "  warpbert finetune --task qa --model bert-base-uncased --train squad.json --dev-split 0.1 --out runs/squad"})
final class FinetuneCommand extends WarpBertCommand {
    @Option(names = "--model", required = true, paramLabel = "NAME|DIR", description = "What to start from: a name (see: warpbert models list), or a model or run folder.")
    private String model;

    @Option(names = "--train", required = true, paramLabel = "FILE", description = "Training data.")
    private Path train;

    @Option(names = "--dev", paramLabel = "FILE", description = "Data to judge by after every epoch.")
    private Path dev;

    @Option(names = "--dev-split", paramLabel = "SHARE", description = "Instead of --dev: this share of the training data, such as 0.1.")
    private Double devSplit;

    @Mixin private TaskOptions tasks;
    @Mixin private TokenOptions tokens;
    @Mixin private HyperparameterOptions hyper;
    @Mixin private DeviceOptions device;
    @Mixin private SavingOptions saving;

    @Option(names = "--out", required = true, paramLabel = "DIR", description = "The run folder to make.")
    private Path out;

    @Option(names = "--overwrite", description = "Replace an earlier run at --out.")
    private boolean overwrite;

    @Option(names = "--json", description = "The summary as JSON on standard output, instead of the table.")
    private boolean json;

    FinetuneCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        if (devSplit != null && !(devSplit > 0 && devSplit < 1)) {
            throw usage("--dev-split is " + devSplit + ", it must be between 0 and 1");
        }
        Task task = tasks.get(this);
        Hyperparameters checked = checked(() -> hyper.get(task.usualLength()));
        Finetune.Options options = checked(() -> new Finetune.Options(model, task, train, dev, devSplit, checked, device.compute(), out, overwrite, saving.get()));
        task.check(train); // a wrong column is said before a model is downloaded
        if (dev != null) {
            task.check(dev);
        }
        tokens.read(this);
        fetch(model);
        show(this, train(this, options, () -> tokens.grow(Checkpoint.open(model), this)), out, json);
    }

    /** What came of a run, as a table or as JSON. */
    static void show(WarpBertCommand command, Summary summary, Path out, boolean json) {
        if (json) {
            command.terminal.json(summary);
        } else {
            TrainingReport.table(command.terminal, summary);
            command.terminal.print("The run is in " + out + ": a model folder, with metrics.jsonl and training.png beside the weights.");
        }
    }

    /** Fetches the model, trains, and draws the run; for every command that trains. */
    static Summary train(WarpBertCommand command, Finetune.Options options) {
        command.fetch(options.model());
        return train(command, options, () -> Checkpoint.open(options.model()));
    }

    /** Trains from a model made otherwise, and draws the run. */
    static Summary train(WarpBertCommand command, Finetune.Options options, Supplier<Checkpoint> start) {
        Summary summary;
        try (TrainingReport report = new TrainingReport(command.terminal, command.quiet)) {
            summary = Finetune.run(options, start, report);
        }
        try {
            TrainingPlot.draw(options.out());
        } catch (RuntimeException | LinkageError | InternalError e) { // the run stands; a machine may lack fonts
            command.terminal.note("training.png could not be drawn: " + e.getMessage());
        }
        return summary;
    }
}
