package org.warpbert.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.Locale;
import org.warpbert.task.TextScorer;

/** {@code predict} for models that give a number. */
final class ScorePredictions {
    private ScorePredictions() {}

    @JsonInclude(JsonInclude.Include.NON_NULL)
    private record Line(String text, String pair, float value) {}

    static void print(PredictCommand command) {
        InferenceOptions inference = command.inference;
        try (TextScorer scorer = TextScorer.load(inference.model, inference.device.compute(), command.terminal::note)) {
            command.input.forEach(command, chunk -> {
                float[] values = scorer.score(chunk.texts(), chunk.pairs(), inference.maxLength(scorer.positions()), inference.batchSize);
                for (int i = 0; i < values.length; i++) {
                    print(command, chunk, i, values[i]);
                }
                command.terminal.flush();
            });
        }
    }

    private static void print(PredictCommand command, TextInput.Chunk chunk, int i, float value) {
        if (command.json) {
            command.terminal.json(new Line(chunk.texts().get(i), chunk.pair(i), value));
        } else {
            command.terminal.print(String.format(Locale.ROOT, "%.4f\t%s", value, chunk.line(i)));
        }
    }
}
