package org.warpbert.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import org.warpbert.task.Embedder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Texts to vectors. */
@Command(name = "embed", description = "Turn texts into vectors; a JSON line each: text, embedding.")
final class EmbedCommand extends WarpBertCommand {
    @Mixin private InferenceOptions inference;
    @Mixin private TextInput input;

    @Option(names = "--pooling", paramLabel = "mean|cls|pooler", defaultValue = "mean",
            description = "What of the last hidden states: their mean (the default), that of [CLS], or BERT's pooler on it.")
    private Embedder.Pooling pooling;

    @Option(names = "--normalize", description = "Scale vectors to length 1.")
    private boolean normalize;

    @JsonInclude(JsonInclude.Include.NON_NULL)
    private record Line(String text, String pair, float[] embedding) {}

    EmbedCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        inference.check(this);
        fetch(inference.model);
        try (Embedder embedder = Embedder.load(inference.model, pooling, inference.device.device, inference.device.threads,
                inference.device.precision, inference.device.memory, terminal::note)) {
            input.forEach(this, chunk -> {
                float[][] vectors = embedder.embed(chunk.texts(), chunk.pairs(), normalize, inference.maxLength(embedder.positions()), inference.batchSize);
                for (int i = 0; i < vectors.length; i++) {
                    terminal.json(new Line(chunk.texts().get(i), chunk.pair(i), vectors[i]));
                }
                terminal.flush();
            });
        }
    }
}
