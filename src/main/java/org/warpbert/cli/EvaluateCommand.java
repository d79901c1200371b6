package org.warpbert.cli;

import java.nio.file.Path;
import java.util.Locale;
import org.warpbert.task.Evaluation;
import org.warpbert.task.TextClassifier;
import org.warpbert.text.Examples;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** How well a classifier does on labelled texts. */
@Command(name = "evaluate", description = "Judge a fine-tuned model by a file of labelled texts.")
final class EvaluateCommand extends WarpBertCommand {
    @Mixin private InferenceOptions inference;

    @Option(names = {"--data", "--dev"}, required = true, paramLabel = "FILE", description = "Labelled texts: .tsv, .csv or .jsonl, or these with .gz.")
    private Path data;

    @Mixin private ColumnOptions columns;

    @Option(names = "--json", description = "JSON on standard output.")
    private boolean json;

    EvaluateCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        inference.check(this);
        Examples examples = columns.read(data);
        if (examples.skippedEmpty() > 0) {
            terminal.note(String.format(Locale.ROOT, "%s: %,d of %,d rows skipped, their text is empty", data, examples.skippedEmpty(), examples.read()));
        }
        fetch(inference.model);
        Evaluation evaluation;
        int maxLength;
        int batches = (examples.rows().size() + inference.batchSize - 1) / inference.batchSize;
        try (TextClassifier classifier = TextClassifier.load(inference.model, inference.device.device, inference.device.threads, inference.device.precision);
                ProgressLine line = new ProgressLine(terminal, quiet, "Evaluating", batches, "batches", 1)) {
            maxLength = inference.maxLength(classifier.positions());
            evaluation = classifier.evaluate(examples, maxLength, inference.batchSize, done -> line.at(done, ""));
        }
        if (evaluation.truncated() > 0) {
            terminal.note(String.format(Locale.ROOT, "%,d of %,d texts are cut to %d tokens", evaluation.truncated(), evaluation.examples(), maxLength));
        }
        if (json) {
            terminal.json(evaluation);
        } else {
            terminal.print(String.format(Locale.ROOT, "examples %,d   loss %.4f   accuracy %.4f   MCC %.3f   (always the most frequent class: accuracy %.4f)",
                    evaluation.examples(), evaluation.loss(), evaluation.accuracy(), evaluation.matthewsCorrelation(), evaluation.majority()));
            terminal.print(String.format(Locale.ROOT, "%,d tokens in %s, %,.0f tokens/s", evaluation.tokens(),
                    TrainingReport.time(evaluation.seconds()), evaluation.tokens() / evaluation.seconds()));
        }
    }
}
