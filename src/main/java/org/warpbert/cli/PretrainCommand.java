package org.warpbert.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import org.warpbert.format.Vocabulary;
import org.warpbert.model.BertConfig;
import org.warpbert.task.Checkpoint;
import org.warpbert.task.Finetune;
import org.warpbert.task.PretrainTask;
import org.warpbert.text.Documents;
import org.warpbert.text.Objective;
import org.warpbert.text.VocabularyTrainer;
import org.warpbert.text.WordPieceTokenizer;
import org.warpbert.train.Hyperparameters;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** From running text to a model that knows its language: a new one, or one that has learned before. */
@Command(name = "pretrain", description = "Pre-train a model on running text: masked words, and whether two texts belong together.",
        footer = {"", "Text is a sentence or paragraph per line, blank lines between documents; or WikiText. Also with .gz.",
                "  warpbert pretrain @recipes/pretrain.args --train wiki.txt --dev-split 0.05 --layers 4 --hidden 256 --heads 4 --out runs/small",
                "  warpbert pretrain --model bert-base-uncased --objective mlm --train notes.txt --max-length 128 --out runs/mine",
                "  warpbert evaluate --model runs/mine --data other.txt"})
final class PretrainCommand extends WarpBertCommand {
    private static final int VOCABULARY = 8192;

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

    @Option(names = "--config", paramLabel = "FILE", description = "A new model of the sizes in this config.json.")
    private Path config;

    @Option(names = "--layers", paramLabel = "N", description = "A new model: encoder layers (default: 12).")
    private Integer layers;

    @Option(names = "--hidden", paramLabel = "N", description = "A new model: hidden size (default: 768).")
    private Integer hidden;

    @Option(names = "--heads", paramLabel = "N", description = "A new model: attention heads (default: a head for 64 of the hidden size).")
    private Integer heads;

    @Option(names = "--intermediate", paramLabel = "N", description = "A new model: width of the feed-forward layers (default: 4 times the hidden size).")
    private Integer intermediate;

    @Option(names = "--positions", paramLabel = "N", description = "A new model: most tokens of a sequence, ever (default: 512).")
    private Integer positions;

    @Option(names = "--vocab", paramLabel = "DIR", description = "A new model: the vocabulary of this folder (vocab.txt or tokenizer.json).")
    private Path vocabulary;

    @Option(names = "--vocab-size", paramLabel = "N", description = "A new model: pieces to learn from the training text, at most (default: " + VOCABULARY + ").")
    private Integer vocabularySize;

    @Option(names = "--cased", description = "A new model with a vocabulary of its own: upper and lower case are not the same.")
    private boolean cased;

    @Mixin private MaskingOptions masking;
    @Mixin private TokenOptions tokens;
    @Mixin private HyperparameterOptions hyper;
    @Mixin private DeviceOptions device;

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
        boolean sized = layers != null || hidden != null || heads != null || intermediate != null || positions != null;
        if (model != null && (sized || config != null || vocabulary != null || vocabularySize != null || cased)) {
            throw usage("--model goes on with a model as it is; sizes and vocabulary are for a new one");
        }
        if (config != null && sized) {
            throw usage("--config holds the sizes; give one or the other");
        }
        if (vocabulary != null && (vocabularySize != null || cased)) {
            throw usage("--vocab-size and --cased are for a vocabulary to be learned, --vocab is one");
        }
        PretrainTask task = checked(() -> masking.task(objective));
        Hyperparameters checked = checked(() -> hyper.get(task.usualLength()));
        BertConfig sizes = model != null ? null : checked(this::sizes);
        if (sizes != null && checked.maxLength() > sizes.maxPositionEmbeddings()) {
            throw usage("--max-length " + checked.maxLength() + " is more than the " + sizes.maxPositionEmbeddings() + " positions");
        }
        String name = model != null ? model : String.format(Locale.ROOT, "new (L%d H%d A%d)", sizes.numHiddenLayers(), sizes.hiddenSize(), sizes.numAttentionHeads());
        Finetune.Options options = checked(() -> new Finetune.Options(name, task, train, dev, devSplit, checked, device.device, device.threads, device.precision, device.memory, out, overwrite));
        tokens.read(this);
        if (model != null) {
            fetch(model);
        }
        Supplier<Checkpoint> start = model != null ? () -> Checkpoint.open(model) : () -> Checkpoint.fresh(sizes, tokenizer());
        FinetuneCommand.show(this, FinetuneCommand.train(this, options, () -> tokens.grow(start.get(), this)), out, json);
    }

    /** Of a new model; the vocabulary's is not known yet. */
    private BertConfig sizes() {
        if (config != null) {
            return BertConfig.read(config);
        }
        int h = or(hidden, 768);
        return BertConfig.ofSizes(1, h, or(layers, 12), or(heads, Math.max(1, h / 64)), or(intermediate, 4 * h), or(positions, 512), 2);
    }

    private static int or(Integer given, int otherwise) {
        return given == null ? otherwise : given;
    }

    private WordPieceTokenizer tokenizer() {
        if (vocabulary != null) {
            Vocabulary read = Vocabulary.read(vocabulary);
            return new WordPieceTokenizer(read.pieces(), read.lowerCase(), read.added());
        }
        List<String> pieces = VocabularyTrainer.train(Documents.read(train), !cased, or(vocabularySize, VOCABULARY));
        if (!quiet) {
            terminal.note(String.format(Locale.ROOT, "a vocabulary of %,d pieces was learned from %s", pieces.size(), train));
        }
        return new WordPieceTokenizer(pieces, !cased);
    }
}
