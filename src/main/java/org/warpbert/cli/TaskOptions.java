package org.warpbert.cli;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.warpbert.format.ModelFolder;
import org.warpbert.hub.Hub;
import org.warpbert.model.BertConfig;
import org.warpbert.task.AnswerMetric;
import org.warpbert.task.ChoiceTask;
import org.warpbert.task.ClassifyTask;
import org.warpbert.task.MultiLabelTask;
import org.warpbert.task.PretrainTask;
import org.warpbert.task.Purpose;
import org.warpbert.task.QaTask;
import org.warpbert.task.RegressTask;
import org.warpbert.task.TagTask;
import org.warpbert.task.Task;
import org.warpbert.text.Objective;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Which task, and how its data files are to be read. */
final class TaskOptions {
    private static final List<String> RUNNING_TEXT = Arrays.stream(Objective.values()).map(PretrainTask::name).toList();
    private static final List<String> NAMES = Stream.concat(
            Stream.of(ClassifyTask.NAME, ClassifyTask.PAIR, RegressTask.NAME, TagTask.NAME, QaTask.NAME, ChoiceTask.NAME), RUNNING_TEXT.stream()).toList();

    /** For the footer of commands that train for a task. */
    static final String DEFAULTS = "Without --task: classify. Without --max-length: 64; running text 128; qa 384, longer contexts go to windows. Examples are texts or pairs,"
            + " of qa windows, of choice questions with their candidates.";

    @Option(names = "--task", paramLabel = "NAME", description = "The task: classify (texts, or pairs with --pair), pair, regress (labels are numbers; texts, or pairs with --pair), tag (words of CoNLL or CoNLL-U files: "
            + "entities, parts of speech), qa (SQuAD's JSON), choice (SWAG's columns, or JSONL); from running text: mlm, nsp, sop (see pretrain).")
    private String task;

    @Mixin private ColumnOptions columns;
    @Mixin private LabelOptions labels;
    @Mixin private MaskingOptions masking;
    @Mixin private QaOptions qa;

    @Option(names = "--answer-metric", paramLabel = "NAME", description = "qa: whose script says which answers are right: squad, squad2 or korquad (default: by the file).")
    private AnswerMetric answerMetric;

    /** The task that was asked for; classify where none was. */
    Task get(WarpBertCommand command) {
        return get(command, task == null ? ClassifyTask.NAME : task, false);
    }

    /** The task that was asked for, where no file will be read. */
    Task withoutData(WarpBertCommand command) {
        if (task == null || List.of(ClassifyTask.NAME, ClassifyTask.PAIR, RegressTask.NAME).contains(task)) {
            columns.assume();
        }
        return get(command);
    }

    /** The task that was asked for, else the one that a model was made for. */
    Task of(WarpBertCommand command, BertConfig model) {
        return get(command, task == null ? name(model) : task, MultiLabelTask.made(model));
    }

    private Task get(WarpBertCommand command, String name, boolean several) {
        if ((qa.given() || answerMetric != null) && !name.equals(QaTask.NAME)) {
            throw command.usage(QaOptions.NAMES + " and --answer-metric are for the task qa, not " + name);
        }
        if (columns.given() && (name.equals(QaTask.NAME) || name.equals(ChoiceTask.NAME) || RUNNING_TEXT.contains(name))) {
            throw command.usage("The task " + name + " knows its files: --text, --pair, --label, --format, --no-header and --extra-cells are not for it");
        }
        if (labels.given() && !name.equals(ClassifyTask.NAME) && !name.equals(ClassifyTask.PAIR)) {
            throw command.usage(LabelOptions.NAMES + " are for the tasks classify and pair, not " + name);
        }
        if (masking.given() && NAMES.contains(name) && !RUNNING_TEXT.contains(name)) {
            throw command.usage(MaskingOptions.NAMES + " are for running text (" + String.join(", ", RUNNING_TEXT) + "), not " + name);
        }
        return command.checked(() -> switch (name) {
            case ClassifyTask.NAME -> labels.task(command, name, columns.get(), several);
            case ClassifyTask.PAIR -> labels.task(command, name, columns.get().requirePair(), several);
            case RegressTask.NAME -> new RegressTask(columns.get());
            case TagTask.NAME -> tag(command);
            case QaTask.NAME -> new QaTask(qa.get(answerMetric));
            case ChoiceTask.NAME -> new ChoiceTask();
            case "mlm" -> masking.task(Objective.MLM);
            case "nsp" -> masking.task(Objective.NSP);
            case "sop" -> masking.task(Objective.SOP);
            default -> throw command.usage("Unknown task '" + name + "'; there are: " + String.join(", ", NAMES));
        });
    }

    private TagTask tag(WarpBertCommand command) {
        columns.checkWords(command);
        return new TagTask(columns.text, columns.label);
    }

    /** What a model says it was made for, by its task or else by its class; classify where that is nothing of ours. */
    static String name(BertConfig model) {
        String task = model.use().task();
        if (task != null && NAMES.contains(task)) {
            return task;
        }
        Purpose purpose = Purpose.of(model);
        return RegressTask.made(model) ? RegressTask.NAME : purpose == null ? ClassifyTask.NAME : purpose.task();
    }

    /** The configuration of a folder, or of a name already fetched. */
    static BertConfig config(String model) {
        try (ModelFolder folder = ModelFolder.open(Hub.resolve(model))) {
            return folder.config();
        }
    }
}
