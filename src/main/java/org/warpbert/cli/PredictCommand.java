package org.warpbert.cli;

import org.warpbert.model.BertConfig;
import org.warpbert.task.ChoiceTask;
import org.warpbert.task.ClassifyTask;
import org.warpbert.task.MultiLabelTask;
import org.warpbert.task.QaTask;
import org.warpbert.task.RegressTask;
import org.warpbert.task.TagTask;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What a fine-tuned model says of texts. */
@Command(name = "predict", description = "Ask a fine-tuned model about texts.",
        footer = {"", "classify, pair: label, probability and text with tabs between them; JSON lines: text, label, score, scores.",
                "  Trained with --multi-label: labels above --threshold with their probabilities; JSON lines: text, labels, scores.",
                "regress: number and text; JSON lines: text, pair, value.",
                "tag: the text with [entities](label score), or word/label for other labels; JSON lines: text, and entities or words, each with",
                "  text, label, score, start and end (exclusive; in UTF-16 units). Texts are cut into words at white space and edge punctuation.",
                "qa: TEXT are questions about --context; --file or standard input holds rows of question and context (a table; on standard input JSON lines).",
                "    --batch-size counts windows; without --max-length they have at most 384 tokens.",
                "    Answer, probability, start and end in the context (in UTF-16 units), question; JSON lines. --squad FILE gives the official predictions.json.",
                "choice: TEXT is a question, --choice its candidates; --batch-size counts questions; --file or standard input as for finetune, labels not needed.",
                "    Number of the choice, probability, choice; JSON lines."})
final class PredictCommand extends WarpBertCommand {
    @Mixin InferenceOptions inference;
    @Mixin TextInput input;
    @Mixin AskOptions ask;

    @Option(names = "--json", description = "A JSON line for each text.")
    boolean json;

    PredictCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        inference.check(this);
        fetch(inference.model);
        BertConfig config = TaskOptions.config(inference.model);
        String task = TaskOptions.name(config);
        boolean several = MultiLabelTask.made(config);
        ask.check(this, task, several);
        switch (task) {
            case ClassifyTask.NAME, ClassifyTask.PAIR -> {
                if (several) {
                    MultiLabelPredictions.print(this);
                } else {
                    ClassPredictions.print(this);
                }
            }
            case RegressTask.NAME -> ScorePredictions.print(this);
            case TagTask.NAME -> TagPredictions.print(this);
            case QaTask.NAME -> AnswerPredictions.print(this);
            case ChoiceTask.NAME -> ChoicePredictions.print(this);
            default -> throw usage(inference.model + " is for " + task + ", which predict does not know");
        }
    }
}
