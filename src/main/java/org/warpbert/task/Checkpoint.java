package org.warpbert.task;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.format.GrownTensors;
import org.warpbert.format.ModelFolder;
import org.warpbert.format.NewTokens;
import org.warpbert.format.TensorSource;
import org.warpbert.hub.Hub;
import org.warpbert.model.BertConfig;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Parameters;
import org.warpbert.model.WeightFormat;
import org.warpbert.text.LabelMap;
import org.warpbert.text.WordPieceTokenizer;

/** A model to start from: its configuration, its tokenizer, and its weights, or none yet. */
public final class Checkpoint implements AutoCloseable {
    private static final int MOST_LABELS = 1 << 20; // each has a name on Java's heap

    private final String name;
    private final BertConfig config;
    private final WordPieceTokenizer tokenizer;
    private final TensorSource tensors; // null: all weights are to be made anew

    private Checkpoint(String name, BertConfig config, WordPieceTokenizer tokenizer, TensorSource tensors) {
        this.name = name;
        this.config = config;
        this.tokenizer = tokenizer;
        this.tensors = tensors;
    }

    /** Opens a folder, or a known name's folder, which is fetched on first use. */
    public static Checkpoint open(String model) {
        ModelFolder folder = ModelFolder.open(Hub.resolve(model));
        try {
            return new Checkpoint(folder.path().toString(), folder.config(),
                    new WordPieceTokenizer(folder.vocabulary(), folder.lowerCase(), folder.addedTokens()), folder.tensors());
        } catch (RuntimeException | Error e) {
            folder.close();
            throw e;
        }
    }

    /** A model of these sizes that has learned nothing yet, with the tokenizer's vocabulary. The tokenizer is closed with it. */
    public static Checkpoint fresh(BertConfig sizes, WordPieceTokenizer tokenizer) {
        return new Checkpoint("a new model", sizes.withVocabulary(tokenizer.vocabularySize(), tokenizer.padId()), tokenizer, null);
    }

    /**
     * The same model with these tokens in its vocabulary; this object is used up. New rows of the embeddings (and of the masked
     * words' bias) are the mean of the old ones.
     */
    public Checkpoint with(NewTokens tokens, Consumer<String> note) {
        NewTokens.Grown grown = tokens.addTo(tokenizer.vocabulary(), tokenizer.added(), note);
        WordPieceTokenizer other = new WordPieceTokenizer(grown.pieces(), tokenizer.lowerCase(), grown.added());
        tokenizer.close();
        return new Checkpoint(name, config.withVocabulary(grown.pieces().size(), config.padTokenId()), other,
                tensors == null ? null : new GrownTensors(tensors, grown.pieces().size()));
    }

    public BertConfig config() {
        return config;
    }

    public WordPieceTokenizer tokenizer() {
        return tokenizer;
    }

    public boolean has(String tensor) {
        return tensors != null && tensors.contains(tensor);
    }

    /** Classes of the classification head, or 0 where the folder has none. */
    public int classes() {
        return has("classifier.weight") ? Math.toIntExact(tensors.shape("classifier.weight")[0]) : 0;
    }

    /** Fails where config.json says that the model is for something else, and its head's names do not say better. */
    void requireFor(Purpose purpose) {
        Purpose known = Purpose.of(config);
        boolean named = purpose == Purpose.SPANS && has("qa_outputs.weight");
        if (known != null && known != purpose && !named) {
            throw new WarpBertException(name + " was trained for " + known + ", says its config.json, not for " + purpose);
        }
    }

    /** Labels to plan for: as many as are asked for, else the model's own head's, else two; {@code model} may be null, a new one. */
    static LabelMap assumed(Integer asked, Checkpoint model) {
        int own = model == null ? 0 : model.classes();
        int labels = asked != null ? asked : own > 0 ? own : 2;
        if (labels < 1 || labels > MOST_LABELS) {
            throw new WarpBertException("the number of labels (--labels) is " + labels + ", it must be from 1 to " + MOST_LABELS);
        }
        return LabelMap.numbered(labels);
    }

    /**
     * What the outputs of the folder's {@code classifier} mean: id2label, or 0, 1, … where nothing names them.
     *
     * @param what the head's name, for the error where the folder has none
     */
    public LabelMap labels(String what) {
        int classes = classes();
        if (classes == 0) {
            throw new WarpBertException(name + " has no " + what + " (classifier.weight): fine-tune it first");
        }
        List<String> names = config().id2label();
        if (names != null && names.size() != classes) {
            throw new WarpBertException(name + ": config.json names " + names.size() + " labels, the head has " + classes + " classes");
        }
        return names != null ? LabelMap.of(names) : LabelMap.numbered(classes);
    }

    /**
     * What the outputs of a {@code classifier} that is to be trained mean: the folder's own labels where it has a head that
     * knows all of the training data's, else the latter.
     */
    LabelMap labels(LabelMap seen, Consumer<String> note) {
        int classes = classes();
        LabelMap heads = classes == 0 ? null : headLabels(config().id2label(), classes);
        if (heads != null && heads.labels().containsAll(seen.labels())) {
            return heads;
        }
        if (classes > 0 && classes != seen.size()) {
            note.accept("the model's head has " + classes + " classes and the training file " + seen.size() + ": a new head is made");
        }
        return seen;
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

    /**
     * Reads every parameter of the table. A head's that the folder lacks, or has in another shape, is made anew from
     * {@code seed}; {@code fresh} receives their names.
     */
    Parameters load(Backend backend, ParameterTable table, WeightFormat format, long seed, List<String> fresh) {
        return tensors == null ? Parameters.random(backend, table, format, seed) : Parameters.load(backend, table, tensors, format, seed, fresh);
    }

    /** Reads every parameter of the table; none may be missing. */
    Parameters loadAll(Backend backend, ParameterTable table, WeightFormat format, String what) {
        List<String> fresh = new ArrayList<>();
        for (ParameterTable.Slice slice : table.slices()) {
            if (!has(slice.name())) {
                fresh.add(slice.name());
            }
        }
        if (!fresh.isEmpty()) {
            throw new WarpBertException(name + " has no " + what + ": " + String.join(", ", fresh) + " missing");
        }
        Parameters parameters = load(backend, table, format, 0, fresh);
        if (!fresh.isEmpty()) { // there, but in another shape
            parameters.close();
            throw new WarpBertException(name + " has no " + what + ": " + String.join(", ", fresh) + " of another shape");
        }
        return parameters;
    }

    /** Checks that sequences of this length have positions, and room for a piece. */
    public void checkLength(int maxLength) {
        checkLength(config, maxLength);
    }

    /** The same of a model that is not there yet. */
    public static void checkLength(BertConfig config, int maxLength) {
        if (maxLength < 3) { // [CLS], [SEP] and a piece, or [CLS] and two [SEP]
            throw new WarpBertException("the maximum length (--max-length) is " + maxLength + ", it must be at least 3");
        }
        if (maxLength > config.maxPositionEmbeddings()) {
            throw new WarpBertException("the maximum length (--max-length) is " + maxLength + ", more than the model's " + config.maxPositionEmbeddings()
                    + " positions");
        }
    }

    @Override
    public void close() {
        tokenizer.close();
        if (tensors != null) {
            tensors.close();
        }
    }
}
