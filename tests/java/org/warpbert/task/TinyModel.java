package org.warpbert.task;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.format.ModelWriter;
import org.warpbert.format.TokenizerWriter;
import org.warpbert.model.BertConfig;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Parameters;

/** A model folder with random weights that takes part in whole runs and costs nothing, and data for it. */
public final class TinyModel {
    private static final int WORDS = 48;
    private static final List<String> SPECIALS = List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]");

    private TinyModel() {}

    public static BertConfig config(int hidden, int layers) {
        return BertConfig.ofSizes(SPECIALS.size() + WORDS, hidden, layers, hidden / 32, 2 * hidden, 512, 2);
    }

    /** Writes the folder of an encoder with a pooler. */
    public static Path write(Path folder, int hidden, int layers) throws IOException {
        BertConfig config = config(hidden, layers);
        return write(folder, config, ParameterTable.bert(config).pooler().build());
    }

    /** Writes the folder of a model with these parameters. */
    static Path write(Path folder, BertConfig config, ParameterTable table) throws IOException {
        Files.createDirectories(folder);
        List<String> pieces = new ArrayList<>(SPECIALS);
        IntStream.range(0, WORDS).forEach(word -> pieces.add("w" + word));
        TokenizerWriter.write(folder, pieces, true, List.of(), config.maxPositionEmbeddings());
        config.write(folder.resolve("config.json"));
        try (Backend backend = Backends.open("cpu", 1); Parameters parameters = Parameters.random(backend, table, 1)) {
            ModelWriter.writeTensors(folder, parameters.shapes(), parameters::host);
        }
        return folder;
    }

    /** Writes labelled texts of these lengths in words; the tokens are two more. */
    public static Path data(Path file, int... lengths) throws IOException {
        SplittableRandom random = new SplittableRandom(lengths.length);
        List<String> rows = new ArrayList<>(List.of("label\ttext"));
        for (int length : lengths) {
            rows.add((random.nextBoolean() ? "good" : "bad") + "\t"
                    + random.ints(length, 0, WORDS).mapToObj(word -> "w" + word).collect(Collectors.joining(" ")));
        }
        return Files.write(file, rows);
    }
}
