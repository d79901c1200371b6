package org.warpbert.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.warpbert.format.NpyWriter;
import org.warpbert.task.Embedder;
import org.warpbert.task.Inspection;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Texts to vectors. */
@Command(name = "embed", description = "Turn texts into vectors; a JSON line each: text, embedding.",
        footer = {"", "  warpbert embed --model bert-base-uncased --file texts.txt --npy vectors.npy",
                "  warpbert embed --model bert-base-uncased --layers -1,-2 --attentions \"A text.\""})
final class EmbedCommand extends WarpBertCommand {
    @Mixin private InferenceOptions inference;
    @Mixin private TextInput input;

    @Option(names = "--pooling", paramLabel = "mean|cls|pooler", defaultValue = "mean",
            description = "What of the last hidden states: their mean (the default), that of [CLS], or BERT's pooler on it.")
    private Embedder.Pooling pooling;

    @Option(names = "--normalize", description = "Scale vectors to length 1.")
    private boolean normalize;

    @Option(names = "--npy", paramLabel = "FILE", description = "Write the vectors there, as NumPy's float32 [texts, hidden size]; nothing on standard output.")
    private Path npy;

    @Option(names = "--layers", paramLabel = "all|N,N", description = "Instead of one vector, the hidden states of all tokens after these layers:"
            + " 0 the embeddings, 1 the first layer, -1 the last; JSON lines: text, tokens, hidden_states by layer.")
    private String layers;

    @Option(names = "--attentions", description = "Instead of a vector, the attention probabilities [layer][head][from][to]; slow.")
    private boolean attentions;

    @JsonInclude(JsonInclude.Include.NON_NULL)
    private record Inside(String text, String pair, List<String> tokens, Map<Integer, float[][]> hiddenStates, float[][][][] attentions) {}

    @JsonInclude(JsonInclude.Include.NON_NULL)
    private record Line(String text, String pair, float[] embedding) {}

    EmbedCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        inference.check(this);
        if (npy != null && (layers != null || attentions)) {
            throw usage("--npy holds a vector for each text; --layers and --attentions are JSON lines");
        }
        if (normalize && (layers != null || attentions)) {
            throw usage("--normalize is for a vector, not for --layers and --attentions");
        }
        checkFile("--npy", npy);
        fetch(inference.model);
        try (Embedder embedder = Embedder.load(inference.model, pooling, inference.device.compute(), terminal::note)) {
            if (layers != null || attentions) {
                inspect(embedder);
            } else if (npy != null) {
                NpyWriter.write(npy, embedder.size(), rows -> input.forEach(this, chunk -> Arrays.stream(embed(embedder, chunk)).forEach(rows)));
            } else {
                input.forEach(this, chunk -> {
                    float[][] vectors = embed(embedder, chunk);
                    for (int i = 0; i < vectors.length; i++) {
                        terminal.json(new Line(chunk.texts().get(i), chunk.pair(i), vectors[i]));
                    }
                    terminal.flush();
                });
            }
        }
    }

    private float[][] embed(Embedder embedder, TextInput.Chunk chunk) {
        return embedder.embed(chunk.texts(), chunk.pairs(), normalize, inference.maxLength(embedder.positions()), inference.batchSize);
    }

    private void inspect(Embedder embedder) {
        int[] wanted = layers == null ? new int[0] : wanted(embedder.layers());
        input.forEach(this, chunk -> {
            for (int i = 0; i < chunk.texts().size(); i++) {
                Inspection inside = embedder.inspect(chunk.texts().get(i), chunk.pair(i), attentions, inference.maxLength(embedder.positions()));
                Map<Integer, float[][]> states = new LinkedHashMap<>();
                for (int layer : wanted) {
                    states.put(layer, inside.hiddenStates()[layer]);
                }
                terminal.json(new Inside(chunk.texts().get(i), chunk.pair(i), inside.tokens(), layers == null ? null : states, inside.attentions()));
            }
            terminal.flush();
        });
    }

    /** Layers from 0 on, of a model that has so many behind the embeddings. */
    private int[] wanted(int last) {
        if (layers.equals("all")) {
            return IntStream.rangeClosed(0, last).toArray();
        }
        try {
            int[] chosen = Arrays.stream(layers.split(",", -1)).mapToInt(layer -> Integer.parseInt(layer.strip())).map(layer -> layer < 0 ? layer + last + 1 : layer).toArray();
            if (Arrays.stream(chosen).allMatch(layer -> layer >= 0 && layer <= last)) {
                return chosen;
            }
        } catch (NumberFormatException e) {
            // said below
        }
        throw usage("--layers is " + layers + ", it must be all, or numbers from " + (-last - 1) + " to " + last + " with commas between them");
    }
}
