package org.warpbert.task;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.warpbert.WarpBertException;
import org.warpbert.text.AnswerWindows;
import org.warpbert.text.Question;

/**
 * A model that finds answers in texts, ready to be asked. Calls from several threads take turns, for each uses the whole device;
 * small ones that wait are computed in one batch.
 */
public final class QuestionAnswerer implements AutoCloseable {
    final OpenModel model;
    private final SharedBatches<float[]> logits; // of a window of n tokens [n, 2]

    /**
     * A question about a text.
     *
     * @param id what errors call it; null: its number among those of the call
     */
    public record Query(String question, String context, String id) {
        public Query(String question, String context) {
            this(question, context, null);
        }
    }

    /**
     * A part of a context.
     *
     * @param start UTF-16 index of its first character
     * @param end   index after its last
     * @param score probability among the likeliest 20 spans (or more, where more are asked for) and no answer
     */
    public record Span(String text, int start, int end, double score) {}

    /**
     * What a context says to a question.
     *
     * @param best                the answer, or null: the context does not tell
     * @param score               its probability, or that of no answer
     * @param noAnswerProbability of no answer against the likeliest span; larger than the threshold: {@code best} is null
     * @param spans               the likeliest, by score, as many as were asked for; no answer is not among them
     */
    public record Answer(Span best, double score, double noAnswerProbability, List<Span> spans) {}

    private QuestionAnswerer(OpenModel model) {
        this.model = model;
        SpanHead head = new SpanHead();
        logits = new SharedBatches<>(model, new Inference<>(model, head), (pass, batch) -> {
            float[] all = head.logits();
            return b -> Arrays.copyOfRange(all, 2 * batch.cuSeqlens()[b], 2 * batch.cuSeqlens()[b + 1]);
        });
    }

    /** {@link #load(String, Compute, Consumer)}, where nobody hears of refused memory. */
    public static QuestionAnswerer load(String model, Compute compute) {
        return load(model, compute, line -> {});
    }

    /**
     * Opens a run folder, or any model folder with a question answering head.
     *
     * @param note receives a line where memory was refused
     */
    public static QuestionAnswerer load(String model, Compute compute, Consumer<String> note) {
        return new QuestionAnswerer(OpenModel.load(model, compute, note, checkpoint -> {
            checkpoint.requireFor(Purpose.SPANS);
            return SpanHead.parameters(checkpoint.config());
        }, "question answering head"));
    }

    /** The longest sequence that the model has positions for. */
    public int positions() {
        return model.config().maxPositionEmbeddings();
    }

    /** The likeliest answer to one question. */
    public Answer answer(String question, String context) {
        return answer(List.of(new Query(question, context)), QaTask.Options.DEFAULT, 1,
                Math.min(QaTask.Options.MAX_LENGTH, positions()), TextClassifier.BATCH_SIZE).get(0);
    }

    /**
     * Answers questions.
     *
     * @param options   the metric is not used
     * @param wanted    spans to give for each, at least 1
     * @param maxLength most tokens of a sequence, up to {@link #positions}, with room for the question; a context too long for one is seen through windows
     * @param batchSize most windows computed at a time, at least 1: more take more memory
     * @return as many, in order
     */
    public List<Answer> answer(List<Query> queries, QaTask.Options options, int wanted, int maxLength, int batchSize) {
        Objects.requireNonNull(options, "options");
        if (wanted < 1) {
            throw new WarpBertException("the number of answers (--n-best) is " + wanted + ", it must be at least 1");
        }
        List<Query> asked = Inference.requireAll("query", queries);
        AnswerWindows windows = model.prepare(maxLength, () -> windows(asked, options, maxLength));
        AnswerSpans spans = new AnswerSpans(windows, options.maxAnswer(), wanted);
        logits.to(new SharedBatches.Request(windows, asked.size(), QaTask.truncation(options), maxLength, batchSize))
                .forEach(window -> spans.add(window, 0));
        double threshold = QaTask.threshold(options, model.config());
        List<Answer> answers = new ArrayList<>(asked.size());
        for (int q = 0; q < asked.size(); q++) {
            AnswerSpans.Answers found = spans.answers(q);
            boolean none = found.best().isEmpty() || found.noAnswerProbability() > threshold;
            answers.add(new Answer(none ? null : found.best().get(0), none ? found.noneScore() : found.best().get(0).score(),
                    found.noAnswerProbability(), List.copyOf(found.best().subList(0, Math.min(wanted, found.best().size())))));
        }
        return answers;
    }

    private AnswerWindows windows(List<Query> queries, QaTask.Options options, int maxLength) {
        Inference.requireAll("question", queries.stream().map(Query::question).toList());
        Inference.requireAll("context", queries.stream().map(Query::context).toList());
        List<Question> questions = new ArrayList<>(queries.size());
        for (int q = 0; q < queries.size(); q++) {
            Query query = queries.get(q);
            questions.add(new Question(query.id == null ? Integer.toString(q + 1) : query.id, 0, query.question, query.context, List.of()));
        }
        return new AnswerWindows(model.tokenizer(), questions, maxLength, options.stride(), options.maxQuery());
    }

    /** Waits for a call that is under way. */
    @Override
    public void close() {
        model.close();
    }
}
