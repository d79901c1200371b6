package org.warpbert.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.warpbert.task.TextClassifier;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What class texts are of. */
@Command(name = "predict", description = "Classify texts with a fine-tuned model.",
        footer = {"", "Prints label, probability and text with tabs between them, or JSON lines: text, label, score, scores."})
final class PredictCommand extends WarpBertCommand {
    @Mixin private InferenceOptions inference;
    @Mixin private TextInput input;

    @Option(names = "--json", description = "A JSON line for each text.")
    private boolean json;

    /** @param scores probability of every label, in the order of the classes */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    private record Line(String text, String pair, String label, double score, Map<String, Double> scores) {}

    PredictCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        inference.check(this);
        fetch(inference.model);
        try (TextClassifier classifier = TextClassifier.load(inference.model, inference.device.device, inference.device.threads, inference.device.precision)) {
            input.forEach(this, chunk -> {
                print(classifier, chunk);
                terminal.flush();
            });
        }
    }

    private void print(TextClassifier classifier, TextInput.Chunk chunk) {
        List<TextClassifier.Prediction> predictions = classifier.predict(chunk.texts(), chunk.pairs(), inference.maxLength(classifier.positions()), inference.batchSize);
        for (int i = 0; i < predictions.size(); i++) {
            TextClassifier.Prediction p = predictions.get(i);
            if (json) {
                Map<String, Double> scores = new LinkedHashMap<>();
                for (int c = 0; c < p.scores().length; c++) {
                    scores.put(classifier.labels().get(c), p.scores()[c]);
                }
                terminal.json(new Line(chunk.texts().get(i), chunk.pair(i), p.label(), p.score(), scores));
            } else {
                terminal.print(String.format(Locale.ROOT, "%s\t%.4f\t%s%s", p.label(), p.score(), chunk.texts().get(i),
                        chunk.pairs() == null ? "" : "\t" + chunk.pair(i)));
            }
        }
    }
}
