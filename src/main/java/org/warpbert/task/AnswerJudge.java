package org.warpbert.task;

import java.util.ArrayList;
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
        List<String> texts = new ArrayList<>();
        double[] none = new double[questions.size()];
        for (int q = 0; q < none.length; q++) {
            AnswerSpans.Answers answers = spans.answers(q);
            texts.add(answers.best().isEmpty() ? "" : answers.best().get(0).text());
            none[q] = answers.noAnswerProbability();
        }
        return report(questions, texts, none, metric, threshold, tuned);
    }

    /**
     * The script's report, all in question order.
     *
     * @param texts the best answers that are not none
     * @param none  probabilities of no answer
     */
    static Map<String, Double> report(List<Question> questions, List<String> texts, double[] none, AnswerMetric metric, double threshold,
            DoubleConsumer tuned) {
        int n = questions.size();
        double[] exact = new double[n]; // of the best answer that is not none
        double[] f1 = new double[n];
        boolean[] empty = new boolean[n];
        boolean[] answerable = new boolean[n];
        for (int q = 0; q < n; q++) {
            String text = texts.get(q);
            List<String> golds = questions.get(q).answers().stream().map(Question.Answer::text).toList();
            exact[q] = metric.exact(golds, text);
            f1[q] = metric.f1(golds, text);
            empty[q] = text.isEmpty();
            answerable[q] = questions.get(q).answerable();
        }
        double[] finalExact = applied(threshold, exact, answerable, none);
        double[] finalF1 = applied(threshold, f1, answerable, none);
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put(EXACT, mean(finalExact, q -> true));
        metrics.put(F1, mean(finalF1, q -> true));
        if (IntStream.range(0, n).anyMatch(q -> !answerable[q])) {
            NoAnswerThreshold bestExact = NoAnswerThreshold.best(exact, empty, answerable, none);
            NoAnswerThreshold bestF1 = NoAnswerThreshold.best(f1, empty, answerable, none);
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

    private static double[] applied(double threshold, double[] scores, boolean[] answerable, double[] none) {
        double[] result = new double[scores.length];
        for (int q = 0; q < result.length; q++) {
            result[q] = NoAnswerThreshold.applied(threshold, scores[q], answerable[q], none[q]);
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
