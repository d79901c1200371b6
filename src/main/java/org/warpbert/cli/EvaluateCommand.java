package org.warpbert.cli;

import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import org.warpbert.model.BertConfig;
import org.warpbert.task.Evaluation;
import org.warpbert.task.Task;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** How well a fine-tuned model does on labelled examples. */
@Command(name = "evaluate", description = "Judge a fine-tuned model by a file of labelled examples.",
        footer = {"", "Without --task: what the model was made for. Without --max-length at most: running text 128, qa 384. A batch of qa is of windows, of choice of questions."})
final class EvaluateCommand extends WarpBertCommand {
    @Mixin private InferenceOptions inference;

    @Option(names = {"--data", "--dev"}, required = true, paramLabel = "FILE", description = "Labelled examples, as for finetune.")
    private Path data;

    @Mixin private TaskOptions tasks;

    @Option(names = "--json", description = "JSON on standard output.")
    private boolean json;

    EvaluateCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        inference.check(this);
        fetch(inference.model);
        BertConfig config = TaskOptions.config(inference.model);
        Task task = tasks.of(this, config);
        task.check(data);
        int maxLength = inference.maxLength(task.usualLength(), config.maxPositionEmbeddings());
        Evaluation evaluation;
        try (TrainingReport report = new TrainingReport(terminal, quiet)) {
            evaluation = Evaluation.run(inference.model, task, data, maxLength, inference.batchSize, inference.device.compute(), report);
        }
        if (evaluation.truncated() > 0) {
            terminal.note(String.format(Locale.ROOT, "%,d of %,d examples are %s", evaluation.truncated(), evaluation.examples(),
                    task.truncation(maxLength)));
        }
        if (json) {
            terminal.json(evaluation);
        } else {
            StringBuilder line = new StringBuilder(String.format(Locale.ROOT, "examples %,d   loss %.4f", evaluation.examples(), evaluation.loss()));
            evaluation.metrics().forEach((name, value) -> {
                Double without = evaluation.baseline().get(name);
                line.append(String.format(Locale.ROOT, "   %s %.4f", name, value))
                        .append(without == null ? "" : String.format(Locale.ROOT, " (%s %.4f)", TrainingReport.BASELINE, without));
            });
            terminal.print(line.toString());
            evaluation.byType().forEach((type, metrics) -> terminal.print(byType(type, metrics)));
            terminal.print(String.format(Locale.ROOT, "%,d tokens in %s, %,.0f tokens/s", evaluation.tokens(),
                    TrainingReport.time(evaluation.seconds()), evaluation.tokens() / evaluation.seconds()));
        }
    }

    private static String byType(String type, Map<String, Double> metrics) {
        StringBuilder line = new StringBuilder(String.format("  %-16s", TextInput.oneLine(type)));
        metrics.forEach((name, value) -> line.append(name.equals("support")
                ? String.format(Locale.ROOT, "   %s %,.0f", name, value) : String.format(Locale.ROOT, "   %s %.4f", name, value)));
        return line.toString();
    }
}
