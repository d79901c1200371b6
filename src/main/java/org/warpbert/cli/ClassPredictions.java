package org.warpbert.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.warpbert.task.TextClassifier;

/** {@code predict} for models that classify texts. */
final class ClassPredictions {
    private ClassPredictions() {}

    /** @param scores probability of every label, in the order of the classes */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    private record Line(String text, String pair, String label, double score, Map<String, Double> scores) {}

    static void print(PredictCommand command) {
        InferenceOptions inference = command.inference;
        try (TextClassifier classifier = TextClassifier.load(inference.model, inference.device.compute(), command.terminal::note)) {
            command.input.forEach(command, chunk -> {
                print(command, classifier, chunk);
                command.terminal.flush();
            });
        }
    }

    private static void print(PredictCommand command, TextClassifier classifier, TextInput.Chunk chunk) {
        InferenceOptions inference = command.inference;
        List<TextClassifier.Prediction> predictions = classifier.predict(chunk.texts(), chunk.pairs(),
                inference.maxLength(classifier.positions()), inference.batchSize);
        for (int i = 0; i < predictions.size(); i++) {
            TextClassifier.Prediction p = predictions.get(i);
            if (command.json) {
                Map<String, Double> scores = new LinkedHashMap<>();
                for (int c = 0; c < p.scores().length; c++) {
                    scores.put(classifier.labels().get(c), p.scores()[c]);
                }
                command.terminal.json(new Line(chunk.texts().get(i), chunk.pair(i), p.label(), p.score(), scores));
            } else {
                command.terminal.print(String.format(Locale.ROOT, "%s\t%.4f\t%s", TextInput.oneLine(p.label()), p.score(), chunk.line(i)));
            }
        }
    }
}
