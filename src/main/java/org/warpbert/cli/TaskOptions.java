package org.warpbert.cli;

import java.util.List;
import org.warpbert.format.ModelFolder;
import org.warpbert.hub.Hub;
import org.warpbert.model.BertConfig;
import org.warpbert.task.ClassifyTask;
import org.warpbert.task.Columns;
import org.warpbert.task.PretrainTask;
import org.warpbert.task.Task;
import org.warpbert.text.Objective;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Which task, and how its data files are to be read. */
final class TaskOptions {
    private static final List<String> NAMES = List.of(ClassifyTask.NAME, ClassifyTask.PAIR, PretrainTask.name(Objective.MLM),
            PretrainTask.name(Objective.NSP), PretrainTask.name(Objective.SOP));

    @Option(names = "--task", paramLabel = "NAME", description = "What to learn: classify (texts, or pairs with --pair), pair; from running text: mlm, nsp, sop (see pretrain).")
    private String task;

    @Mixin private ColumnOptions columns;
    @Mixin private MaskingOptions masking;

    /** The task that was asked for; classify where none was. */
    Task get(WarpBertCommand command) {
        return get(command, task == null ? ClassifyTask.NAME : task);
    }

    /** The task that was asked for, else the one that a model was made for. */
    Task of(WarpBertCommand command, BertConfig model) {
        return get(command, task == null ? name(model) : task);
    }

    private Task get(WarpBertCommand command, String name) {
        return command.checked(() -> switch (name) {
            case ClassifyTask.NAME -> ClassifyTask.of(columns());
            case ClassifyTask.PAIR -> ClassifyTask.ofPairs(columns());
            case "mlm" -> masking.task(Objective.MLM);
            case "nsp" -> masking.task(Objective.NSP);
            case "sop" -> masking.task(Objective.SOP);
            default -> throw command.usage("Unknown task '" + name + "'; there are: " + String.join(", ", NAMES));
        });
    }

    private Columns columns() {
        return new Columns(!columns.noHeader, columns.text, columns.pair, columns.label);
    }

    /** What a model says it was made for; classify where that is nothing of ours. */
    static String name(BertConfig model) {
        String task = model.use().task();
        return task != null && NAMES.contains(task) ? task : ClassifyTask.NAME;
    }

    /** The configuration of a folder, or of a name already fetched. */
    static BertConfig config(String model) {
        try (ModelFolder folder = ModelFolder.open(Hub.resolve(model))) {
            return folder.config();
        }
    }
}
