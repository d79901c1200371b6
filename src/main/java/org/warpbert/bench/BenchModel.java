package org.warpbert.bench;

import java.util.ArrayList;
import java.util.List;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.format.ModelFolder;
import org.warpbert.hub.Hub;
import org.warpbert.model.BertConfig;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Parameters;
import org.warpbert.model.WeightFormat;
import org.warpbert.task.ClassificationHead;

/** The model that is measured: one that exists, or fresh weights of the same sizes, whose speed is the same. */
public final class BenchModel {
    /** What {@link #of} makes fresh weights for. */
    public static final String SIZES = "bert-tiny, bert-mini, bert-small, bert-medium, bert-base, bert-large, minilm";

    static final int CLASSES = 2;
    private static final String RANDOM = "random:";
    private static final int VOCABULARY = 30522;
    private static final long SEED = 42;

    private final String name;
    private final BertConfig config;

    private BenchModel(String name, BertConfig config) {
        this.name = name;
        this.config = config;
    }

    /** A name of {@link Hub}, a folder, or {@code random:} and one of {@link #SIZES} (Turc et al. 2019's, and MiniLM-L6's). */
    public static BenchModel of(String name) {
        if (!name.startsWith(RANDOM)) {
            try (ModelFolder folder = ModelFolder.open(Hub.resolve(name))) {
                return new BenchModel(name, folder.config());
            }
        }
        return new BenchModel(name, switch (name.substring(RANDOM.length())) {
            case "bert-tiny" -> sizes(128, 2);
            case "bert-mini" -> sizes(256, 4);
            case "bert-small" -> sizes(512, 4);
            case "bert-medium" -> sizes(512, 8);
            case "bert-base" -> sizes(768, 12);
            case "bert-large" -> sizes(1024, 24);
            case "minilm" -> BertConfig.ofSizes(VOCABULARY, 384, 6, 12, 1536, 512, 2);
            default -> throw new WarpBertException("--model is '" + name + "', random weights are known for " + SIZES);
        });
    }

    private static BertConfig sizes(int hidden, int layers) {
        return BertConfig.ofSizes(VOCABULARY, hidden, layers, hidden / 64, 4 * hidden, 512, 2);
    }

    public String name() {
        return name;
    }

    public BertConfig config() {
        return config;
    }

    /** The parameters of a classifier on this encoder. */
    public ParameterTable table() {
        return ClassificationHead.parameters(config, CLASSES);
    }

    /** The weights on a device; a classification head is made where the model has none of two classes. */
    public Parameters parameters(Backend backend, WeightFormat format) {
        if (name.startsWith(RANDOM)) {
            return Parameters.random(backend, table(), format, SEED);
        }
        List<String> fresh = new ArrayList<>();
        try (ModelFolder folder = ModelFolder.open(Hub.resolve(name))) {
            return Parameters.load(backend, table(), folder.tensors(), format, SEED, fresh);
        }
    }
}
