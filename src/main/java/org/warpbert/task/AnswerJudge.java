package org.warpbert.task;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleConsumer;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import org.warpbert.text.PackedBatch;
import org.warpbert.text.Question;

/** Exact match and F1 of a model's answers, in percent; with questions that have none, also what SQuAD 2.0's script reports. */
final class AnswerJudge implements Judge {
    static final String EXACT = "exact_match";
    static final String F1 = "f1";
    private static final double PERCENT = 100;

    private final List<Question> questions;
    private final boolean unanswerable;
    private final SpanHead head;
    private final AnswerSpans spans;
    private final AnswerMetric metric;
    private final double threshold;
    private final DoubleConsumer tuned;

    /**
     * @param threshold no answer where its probability is larger
     * @param tuned     receives the threshold of the best F1, where some questions have answers and some have none
     */
    AnswerJudge(QaDataset data, SpanHead head, AnswerSpans spans, AnswerMetric metric, double threshold, DoubleConsumer tuned) {
        this.questions = data.questions();
        this.unanswerable = data.unanswerable();
        this.head = head;
        this.spans = spans;
        this.metric = metric;
        this.threshold = threshold;
        this.tuned = tuned;
    }

    @Override
    public void add(PackedBatch batch) {
        spans.add(batch, head.logits());
    }

    @Override
    public Map<String, Double> metrics() {
        int n = questions.size();
        double[] exact = new double[n]; // of the best answer that is not none
        double[] f1 = new double[n];
        boolean[] empty = new boolean[n];
        boolean[] answerable = new boolean[n];
        double[] probability = new double[n];
        for (int q = 0; q < n; q++) {
            AnswerSpans.Answers answers = spans.answers(q);
            String text = answers.best().isEmpty() ? "" : answers.best().get(0).text();
            List<String> golds = questions.get(q).answers().stream().map(Question.Answer::text).toList();
            exact[q] = metric.exact(golds, text);
            f1[q] = metric.f1(golds, text);
            empty[q] = text.isEmpty();
            answerable[q] = questions.get(q).answerable();
            probability[q] = answers.noAnswerProbability();
        }
        double[] finalExact = applied(exact, answerable, probability);
        double[] finalF1 = applied(f1, answerable, probability);
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put(EXACT, mean(finalExact, q -> true));
        metrics.put(F1, mean(finalF1, q -> true));
        if (unanswerable) {
            NoAnswerThreshold bestExact = NoAnswerThreshold.best(exact, empty, answerable, probability);
            NoAnswerThreshold bestF1 = NoAnswerThreshold.best(f1, empty, answerable, probability);
            if (IntStream.range(0, n).anyMatch(q -> answerable[q])) {
                metrics.put("HasAns_exact", mean(finalExact, q -> answerable[q]));
                metrics.put("HasAns_f1", mean(finalF1, q -> answerable[q]));
                tuned.accept(bestF1.threshold());
            }
            metrics.put("NoAns_exact", mean(finalExact, q -> !answerable[q]));
            metrics.put("NoAns_f1", mean(finalF1, q -> !answerable[q]));
            metrics.put("best_exact", PERCENT * bestExact.score());
            metrics.put("best_exact_thresh", bestExact.threshold());
            metrics.put("best_f1", PERCENT * bestF1.score());
            metrics.put("best_f1_thresh", bestF1.threshold());
        }
        return metrics;
    }

    private double[] applied(double[] scores, boolean[] answerable, double[] probability) {
        double[] result = new double[scores.length];
        for (int q = 0; q < result.length; q++) {
            result[q] = NoAnswerThreshold.applied(threshold, scores[q], answerable[q], probability[q]);
        }
        return result;
    }

    private static double mean(double[] scores, IntPredicate chosen) {
        return PERCENT * IntStream.range(0, scores.length).filter(chosen).mapToDouble(q -> scores[q]).average().orElseThrow();
    }

    /** To answer no question: the share of those that have no answer. */
    @Override
    public Map<String, Double> baseline() {
        if (!unanswerable) {
            return Map.of();
        }
        double share = PERCENT * questions.stream().filter(question -> !question.answerable()).count() / questions.size();
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put(EXACT, share);
        metrics.put(F1, share);
        return metrics;
    }
}
