package org.warpbert.cli;

import java.nio.file.Path;
import java.util.Locale;
import java.util.function.Supplier;
import org.warpbert.model.BertConfig;
import org.warpbert.task.Checkpoint;
import org.warpbert.task.Finetune;
import org.warpbert.task.PretrainTask;
import org.warpbert.text.Objective;
import org.warpbert.train.Hyperparameters;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** From running text to a model that knows its language: a new one, or one that has learned before. */
@Command(name = "pretrain", description = "Pre-train a model on running text: masked words, and whether two texts belong together.",
        footer = {"", "Text is a sentence or paragraph per line, blank lines between documents; or WikiText. Also with .gz.", "Without --max-length: 128.",
                "  warpbert pretrain @recipes/pretrain.args --train wiki.txt --dev-split 0.05 --layers 4 --hidden 256 --heads 4 --out runs/small",
                "  warpbert pretrain --model bert-base-uncased --objective mlm --train notes.txt --max-length 128 --out runs/mine",
                "  warpbert evaluate --model runs/mine --data other.txt"})
final class PretrainCommand extends WarpBertCommand {
    @Option(names = "--train", required = true, paramLabel = "FILE", description = "Running text.")
    private Path train;

    @Option(names = "--dev", paramLabel = "FILE", description = "Text to judge by after every epoch.")
    private Path dev;

    @Option(names = "--dev-split", paramLabel = "SHARE", description = "Instead of --dev: this share of the training documents, such as 0.05.")
    private Double devSplit;

    @Option(names = "--objective", paramLabel = "nsp|sop|mlm", defaultValue = "nsp", description = "Besides masked words: next sentence prediction"
            + " (the default), sentence order prediction, or nothing.")
    private Objective objective;

    @Option(names = "--model", paramLabel = "NAME|DIR", description = "Go on with this model; without it, a new one is made.")
    private String model;

    @Mixin private NewModelOptions fresh;
    @Mixin private MaskingOptions masking;
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

    PretrainCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        if (devSplit != null && !(devSplit > 0 && devSplit < 1)) {
            throw usage("--dev-split is " + devSplit + ", it must be between 0 and 1");
        }
        fresh.check(this, model);
        PretrainTask task = checked(() -> masking.task(objective));
        Hyperparameters checked = checked(() -> hyper.get(task.usualLength()));
        BertConfig sizes = model != null ? null : fresh.sizes(this);
        if (sizes != null) {
            fresh.checkLength(this, sizes, checked.maxLength());
        }
        String name = model != null ? model : String.format(Locale.ROOT, "new (L%d H%d A%d)", sizes.numHiddenLayers(), sizes.hiddenSize(), sizes.numAttentionHeads());
        Finetune.Options options = checked(() -> new Finetune.Options(name, task, train, dev, devSplit, checked, device.compute(), out, overwrite, saving.get()));
        tokens.read(this);
        if (model != null) {
            fetch(model);
        }
        Supplier<Checkpoint> start = model != null ? () -> Checkpoint.open(model) : () -> Checkpoint.fresh(sizes, fresh.tokenizer(this, train));
        FinetuneCommand.show(this, FinetuneCommand.train(this, options, () -> tokens.grow(start.get(), this)), out, json);
    }
}
