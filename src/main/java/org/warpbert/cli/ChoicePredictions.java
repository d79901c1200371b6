package org.warpbert.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.warpbert.task.MultipleChoice;
import org.warpbert.text.ChoiceFile;
import org.warpbert.text.ChoiceQuestion;
import org.warpbert.text.TextTable;

/** {@code predict} for models that choose among candidates. */
final class ChoicePredictions {
    private ChoicePredictions() {}

    @JsonInclude(JsonInclude.Include.NON_NULL)
    private record Line(String context, String question, int choice, String text, double score, double[] scores) {}

    static void print(PredictCommand command) {
        List<ChoiceQuestion> questions = questions(command);
        InferenceOptions inference = command.inference;
        try (MultipleChoice model = MultipleChoice.load(inference.model, inference.device.compute(), command.terminal::note)) {
            for (int from = 0; from < questions.size(); from += TextInput.CHUNK) {
                List<ChoiceQuestion> chunk = questions.subList(from, Math.min(from + TextInput.CHUNK, questions.size()));
                List<MultipleChoice.Answer> answers = model.choose(chunk, inference.maxLength(model.positions()), inference.batchSize);
                for (int i = 0; i < chunk.size(); i++) {
                    print(command, chunk.get(i), answers.get(i));
                }
                command.terminal.flush();
            }
        }
    }

    private static List<ChoiceQuestion> questions(PredictCommand command) {
        command.input.checkNoPairs(command);
        List<String> texts = command.input.texts;
        List<String> choices = command.ask.choices;
        if (!texts.isEmpty() || choices != null || command.ask.context != null) {
            if (texts.size() > 1 || texts.isEmpty() && command.ask.context == null || choices == null || choices.size() < 2) {
                throw command.usage("One TEXT (the question), or --context, or both, go with two or more --choice");
            }
            return List.of(new ChoiceQuestion(command.ask.context, texts.isEmpty() ? null : texts.get(0), choices));
        }
        Path file = command.input.file;
        try (TextTable table = file == null ? TextTable.jsonLines(TextInput.open(null, command.terminal))
                : TextTable.open(file, TextTable.Options.DEFAULT)) {
            return ChoiceFile.readQuestions(table);
        }
    }

    private static void print(PredictCommand command, ChoiceQuestion question, MultipleChoice.Answer answer) {
        String text = question.choices().get(answer.choice());
        if (command.json) {
            command.terminal.json(new Line(question.context(), question.question(), answer.choice(), text, answer.score(), answer.scores()));
        } else {
            command.terminal.print(String.format(Locale.ROOT, "%d\t%.4f\t%s", answer.choice(), answer.score(), TextInput.oneLine(text)));
        }
    }
}
