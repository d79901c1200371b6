package org.warpbert.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.warpbert.task.MultiLabelClassifier;

/** {@code predict} for models that give a text any number of labels. */
final class MultiLabelPredictions {
    private MultiLabelPredictions() {}

    /**
     * @param labels those above the threshold, in the order of the classes
     * @param scores probability of every label, in that order
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    private record Line(String text, String pair, List<String> labels, Map<String, Double> scores) {}

    static void print(PredictCommand command) {
        InferenceOptions inference = command.inference;
        try (MultiLabelClassifier classifier = MultiLabelClassifier.load(inference.model, inference.device.compute(), command.terminal::note)) {
            command.input.forEach(command, chunk -> {
                List<double[]> predictions = classifier.predict(chunk.texts(), chunk.pairs(), inference.maxLength(classifier.positions()),
                        inference.batchSize);
                for (int i = 0; i < predictions.size(); i++) {
                    print(command, classifier.labels(), chunk, i, predictions.get(i));
                }
                command.terminal.flush();
            });
        }
    }

    private static void print(PredictCommand command, List<String> all, TextInput.Chunk chunk, int i, double[] probabilities) {
        Map<String, Double> scores = new LinkedHashMap<>();
        List<String> labels = new ArrayList<>();
        List<String> cells = new ArrayList<>();
        for (int c = 0; c < probabilities.length; c++) {
            scores.put(all.get(c), probabilities[c]);
            if (probabilities[c] > command.ask.threshold()) {
                labels.add(all.get(c));
                cells.add(String.format(Locale.ROOT, "%s %.4f", TextInput.oneLine(all.get(c)), probabilities[c]));
            }
        }
        if (command.json) {
            command.terminal.json(new Line(chunk.texts().get(i), chunk.pair(i), labels, scores));
        } else {
            command.terminal.print(String.join(", ", cells) + "\t" + chunk.line(i));
        }
    }
}
