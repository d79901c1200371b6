package org.warpbert.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.warpbert.WarpBertException;
import org.warpbert.task.QaTask;
import org.warpbert.task.QuestionAnswerer;
import org.warpbert.text.Question;
import org.warpbert.text.SquadFile;
import org.warpbert.text.TextTable;

/** {@code predict} for models that find answers in texts. */
final class AnswerPredictions {
    private static final String QUESTION = "question";
    private static final String CONTEXT = "context";
    private static final String ID = "id";

    private final PredictCommand command;
    private final QaTask.Options options;
    private final int wanted;
    private final boolean json;

    /** @param start of the answer in the context; like {@code end} left out where there is none, whose text is empty */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    private record Line(String id, String question, String text, Integer start, Integer end, double score, double noAnswerProbability,
                        List<QuestionAnswerer.Span> nBest) {}

    private AnswerPredictions(PredictCommand command) {
        this.command = command;
        this.options = command.checked(() -> command.ask.qa.get(null));
        this.wanted = command.ask.wanted == null ? 1 : command.ask.wanted;
        this.json = command.json;
    }

    static void print(PredictCommand command) {
        new AnswerPredictions(command).print();
    }

    private void print() {
        command.input.checkNoPairs(command);
        boolean arguments = !command.input.texts.isEmpty();
        if (arguments != (command.ask.context != null)) {
            throw command.usage("TEXT (questions) and --context go together");
        }
        if (command.ask.squad != null && (arguments || command.input.file != null)) {
            throw command.usage("--squad excludes TEXT and --file");
        }
        List<Question> questions = questions(); // before the weights are read: a wrong file is known at once
        InferenceOptions inference = command.inference;
        try (QuestionAnswerer answerer = QuestionAnswerer.load(inference.model, inference.device.compute(), command.terminal::note)) {
            if (command.ask.squad != null && !json) {
                Map<String, String> predictions = new LinkedHashMap<>();
                answer(answerer, questions, (question, answer) -> predictions.put(question.id(), text(answer)));
                command.terminal.json(predictions);
            } else {
                answer(answerer, questions, this::print);
            }
        }
    }

    private List<Question> questions() {
        if (command.ask.squad != null) {
            return SquadFile.readQuestions(command.ask.squad).questions();
        }
        if (command.ask.context != null) {
            return command.input.texts.stream().map(text -> question(null, text, command.ask.context, "TEXT")).toList();
        }
        Path file = command.input.file;
        try (TextTable table = file == null ? TextTable.jsonLines(TextInput.open(null, command.terminal))
                : TextTable.open(file, TextTable.Options.DEFAULT)) {
            int question = table.column(QUESTION);
            int context = table.column(CONTEXT);
            int id = table.header().indexOf(ID);
            List<Question> rows = new ArrayList<>();
            for (TextTable.Row row = table.next(); row != null; row = table.next()) {
                rows.add(question(id < 0 ? null : row.get(id), row.get(question), row.get(context), table.file() + ", line " + row.line()));
            }
            return rows;
        }
    }

    private static Question question(String id, String text, String context, String where) {
        if (text.isBlank() || context.isBlank()) {
            throw new WarpBertException(where + ": the " + (text.isBlank() ? QUESTION : CONTEXT) + " is empty.");
        }
        return new Question(id, 0, text, context, List.of());
    }

    private void answer(QuestionAnswerer answerer, List<Question> questions, BiConsumer<Question, QuestionAnswerer.Answer> each) {
        InferenceOptions inference = command.inference;
        int maxLength = inference.maxLength(QaTask.Options.MAX_LENGTH, answerer.positions());
        try (ProgressLine progress = new ProgressLine(command.terminal, command.quiet || questions.size() <= TextInput.CHUNK, "Answering",
                questions.size(), "questions", 1)) {
            for (int from = 0; from < questions.size(); from += TextInput.CHUNK) {
                List<Question> chunk = questions.subList(from, Math.min(from + TextInput.CHUNK, questions.size()));
                List<QuestionAnswerer.Answer> answers = answerer.answer(
                        IntStream.range(from, from + chunk.size()).mapToObj(q -> query(q, questions.get(q))).toList(),
                        options, wanted, maxLength, inference.batchSize);
                for (int i = 0; i < chunk.size(); i++) {
                    each.accept(chunk.get(i), answers.get(i));
                }
                command.terminal.flush();
                progress.at(from + chunk.size(), "");
            }
        }
    }

    private static QuestionAnswerer.Query query(int number, Question question) {
        return new QuestionAnswerer.Query(question.text(), question.context(), question.id() == null ? Integer.toString(number + 1) : question.id());
    }

    private static String text(QuestionAnswerer.Answer answer) {
        return answer.best() == null ? "" : answer.best().text();
    }

    private void print(Question question, QuestionAnswerer.Answer answer) {
        QuestionAnswerer.Span best = answer.best();
        if (json) {
            command.terminal.json(new Line(question.id(), question.text(), text(answer), best == null ? null : best.start(),
                    best == null ? null : best.end(), answer.score(), answer.noAnswerProbability(),
                    command.ask.wanted == null ? null : answer.spans()));
            return;
        }
        Stream<QuestionAnswerer.Span> others = best == null ? answer.spans().stream() : answer.spans().stream().skip(1);
        print(question, best, answer.score());
        others.limit(wanted - 1L).forEach(span -> print(question, span, span.score()));
    }

    /** A context may hold tabs and line breaks; a line of the result may not. */
    private void print(Question question, QuestionAnswerer.Span span, double score) {
        command.terminal.print(String.format(Locale.ROOT, "%s\t%.4f\t%s\t%s\t%s", span == null ? "" : span.text().replaceAll("\\s+", " "), score,
                span == null ? "" : span.start(), span == null ? "" : span.end(), question.text().replaceAll("\\s+", " ")));
    }
}
