package org.warpbert.cli;

import java.nio.file.Path;
import java.util.List;
import org.warpbert.task.ChoiceTask;
import org.warpbert.task.QaTask;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What {@code predict} takes beside texts where a model answers questions. */
final class AskOptions {
    @Option(names = "--context", paramLabel = "TEXT", description = "qa, choice: the text that the question is about.")
    String context;

    @Option(names = "--squad", paramLabel = "FILE", description = "qa: answer the questions of a file in SQuAD's JSON, labelled or not.")
    Path squad;

    @Option(names = "--n-best", paramLabel = "N", converter = Count.class, description = "qa: so many answers for each question (default: 1).")
    Integer wanted;

    @Mixin QaOptions qa;

    @Option(names = "--choice", paramLabel = "TEXT", description = "choice: a candidate (repeat it).")
    List<String> choices;

    @Option(names = "--threshold", paramLabel = "P", description = "Models of several labels: those whose probability is above this (default: 0.5).")
    private Double threshold;

    double threshold() {
        return threshold == null ? 0.5 : threshold;
    }

    /**
     * Fails where something was given that the model has no use for.
     *
     * @param several whether it gives texts any number of labels
     */
    void check(WarpBertCommand command, String task, boolean several) {
        if (!several && threshold != null) {
            throw command.usage("--threshold is for models trained with --multi-label");
        }
        if (!(threshold() >= 0 && threshold() <= 1)) {
            throw command.usage("--threshold is " + threshold + ", it must be in [0, 1]");
        }
        if (!task.equals(QaTask.NAME) && (squad != null || wanted != null || qa.given())) {
            throw command.usage("--squad, --n-best, " + QaOptions.NAMES + " are for models of the task qa, not " + task);
        }
        if (!task.equals(ChoiceTask.NAME) && choices != null) {
            throw command.usage("--choice is for models of the task choice, not " + task);
        }
        if (context != null && !task.equals(QaTask.NAME) && !task.equals(ChoiceTask.NAME)) {
            throw command.usage("--context is for models of the tasks qa and choice, not " + task);
        }
    }
}
