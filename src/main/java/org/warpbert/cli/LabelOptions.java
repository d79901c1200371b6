package org.warpbert.cli;

import org.warpbert.task.ClassWeights;
import org.warpbert.task.ClassifyTask;
import org.warpbert.task.Columns;
import org.warpbert.task.MultiLabelTask;
import org.warpbert.task.Task;
import picocli.CommandLine.Option;

/** How many labels texts have, and how a single one is learned. */
final class LabelOptions {
    static final String NAMES = "--multi-label, --label-separator, --class-weights and --label-smoothing";

    @Option(names = "--multi-label", description = "classify, pair: a text has any number of labels, or none: a yes or no to each.")
    private boolean several;

    @Option(names = "--label-separator", paramLabel = "TEXT", description = "With --multi-label: what stands between labels in a cell (default: a comma); JSONL may have lists.")
    private String separator;

    @Option(names = "--class-weights", paramLabel = "WEIGHTS", description = "classify, pair: balanced, or LABEL=W,...: how much examples of a class count in the loss (a label not named: 1).")
    private String weights;

    @Option(names = "--label-smoothing", paramLabel = "X", description = "classify, pair: this share of each label is spread over all classes (default: 0).")
    private Double smoothing;

    boolean given() {
        return several || separator != null || weights != null || smoothing != null;
    }

    /**
     * A classification.
     *
     * @param made the model is one of several labels
     */
    Task task(WarpBertCommand command, String name, Columns columns, boolean made) {
        boolean sets = several || made;
        if (sets && (weights != null || smoothing != null)) {
            throw command.usage("--class-weights and --label-smoothing are for texts of one label, not for --multi-label");
        }
        if (!sets && separator != null) {
            throw command.usage("--label-separator goes with --multi-label");
        }
        return sets ? new MultiLabelTask(name, columns, separator == null ? MultiLabelTask.SEPARATOR : separator)
                : ClassifyTask.of(name, columns, weights == null ? null : ClassWeights.parse(weights), smoothing == null ? 0 : smoothing);
    }
}
