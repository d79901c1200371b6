package org.warpbert.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.warpbert.format.Vocabulary;
import org.warpbert.model.BertConfig;
import org.warpbert.text.Documents;
import org.warpbert.text.VocabularyTrainer;
import org.warpbert.text.WordPieceTokenizer;
import picocli.CommandLine.Option;

/** How large a model that has learned nothing yet is, and what its vocabulary comes from. */
final class NewModelOptions {
    private static final int VOCABULARY = 8192;

    @Option(names = "--config", paramLabel = "FILE", description = "A new model of the sizes in this config.json.")
    private Path config;

    @Option(names = "--layers", paramLabel = "N", converter = Count.class, description = "A new model: encoder layers (default: 12).")
    private Integer layers;

    @Option(names = "--hidden", paramLabel = "N", converter = Count.class, description = "A new model: hidden size (default: 768).")
    private Integer hidden;

    @Option(names = "--heads", paramLabel = "N", converter = Count.class, description = "A new model: attention heads (default: a head for 64 of the hidden size).")
    private Integer heads;

    @Option(names = "--intermediate", paramLabel = "N", converter = Count.class, description = "A new model: width of the feed-forward layers (default: 4 times the hidden size).")
    private Integer intermediate;

    @Option(names = "--positions", paramLabel = "N", converter = Count.class, description = "A new model: most tokens of a sequence, ever (default: 512).")
    private Integer positions;

    @Option(names = "--vocab", paramLabel = "DIR", description = "A new model: the vocabulary of this folder (vocab.txt or tokenizer.json).")
    private Path vocabulary;

    @Option(names = "--vocab-size", paramLabel = "N", converter = Count.class, description = "A new model: pieces to learn from the training text, at most (default: " + VOCABULARY + ").")
    private Integer vocabularySize;

    @Option(names = "--cased", description = "A new model with a vocabulary of its own: upper and lower case are not the same.")
    private boolean cased;

    private boolean sized() {
        return layers != null || hidden != null || heads != null || intermediate != null || positions != null;
    }

    /** Whether any was given. */
    boolean given() {
        return sized() || config != null || vocabulary != null || vocabularySize != null || cased;
    }

    /** Fails where options exclude each other; {@code model} is what was given to go on with, or null. */
    void check(WarpBertCommand command, String model) {
        if (model != null && given()) {
            throw command.usage("--model goes on with a model as it is; sizes and vocabulary are for a new one");
        }
        if (config != null && sized()) {
            throw command.usage("--config holds the sizes; give one or the other");
        }
        if (vocabulary != null && (vocabularySize != null || cased)) {
            throw command.usage("--vocab-size and --cased are for a vocabulary to be learned, --vocab is one");
        }
        if (vocabularySize != null && vocabularySize <= Vocabulary.SPECIALS.size()) {
            throw command.usage("--vocab-size is " + vocabularySize + ", it must be more than the " + Vocabulary.SPECIALS.size() + " special tokens");
        }
    }

    /** The sizes; the vocabulary's is not known yet. Those that no model can have are wrong usage, a file without any is an error. */
    BertConfig sizes(WarpBertCommand command) {
        return config != null ? BertConfig.read(config) : command.checked(this::ofSizes);
    }

    private BertConfig ofSizes() {
        int h = or(hidden, 768);
        int wide = (int) Math.min(4L * h, Integer.MAX_VALUE); // where that is less than 4 h, the model is too large anyway
        return BertConfig.ofSizes(1, h, or(layers, 12), or(heads, Math.max(1, h / 64)), or(intermediate, wide), or(positions, 512), 2);
    }

    /** Fails where sequences are to be longer than a new model has positions for. */
    void checkLength(WarpBertCommand command, BertConfig sizes, int maxLength) {
        if (maxLength > sizes.maxPositionEmbeddings()) {
            throw command.usage("--max-length " + maxLength + " is more than the " + sizes.maxPositionEmbeddings() + " positions");
        }
    }

    /** The sizes with as many pieces as there are, or may be learned. */
    BertConfig largest(BertConfig sizes) {
        return sizes.withVocabulary(vocabulary != null ? Vocabulary.read(vocabulary).pieces().size() : or(vocabularySize, VOCABULARY), sizes.padTokenId());
    }

    private static int or(Integer given, int otherwise) {
        return given == null ? otherwise : given;
    }

    /** The tokenizer, its vocabulary learned from a file of running text where none is given. */
    WordPieceTokenizer tokenizer(WarpBertCommand command, Path text) {
        if (vocabulary != null) {
            Vocabulary read = Vocabulary.read(vocabulary);
            return new WordPieceTokenizer(read.pieces(), read.lowerCase(), read.added());
        }
        List<String> pieces = VocabularyTrainer.train(Documents.read(text), !cased, or(vocabularySize, VOCABULARY));
        if (!command.quiet) {
            command.terminal.note(String.format(Locale.ROOT, "a vocabulary of %,d pieces was learned from %s", pieces.size(), text));
        }
        return new WordPieceTokenizer(pieces, !cased);
    }
}
