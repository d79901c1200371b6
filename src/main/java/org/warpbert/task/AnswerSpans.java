package org.warpbert.task;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import org.warpbert.text.AnswerWindows;
import org.warpbert.text.Located;
import org.warpbert.text.PackedBatch;

/**
 * From the logits of all windows to each question's best answers. An answer is a run of at most {@code maxAnswer} context
 * tokens; its logit is the sum of its ends', the best over the windows that hold it. The logit of no answer is that of
 * [CLS] as both ends, the smallest over the windows: one window that points elsewhere is enough to speak against it.
 */
final class AnswerSpans {
    /** Spans over which probabilities are taken, as usual. */
    private static final int BEST = 20;

    private final AnswerWindows windows;
    private final int maxAnswer;
    private final int kept;
    private final List<Map<Long, Float>> spans = new ArrayList<>(); // by question: first and last token to logit
    private final float[] none; // by question
    private int next;

    private record Span(int first, int last, float logit) {}

    /**
     * The best answers of a question.
     *
     * @param best                by score; empty where the context has no token
     * @param noneScore           probability of no answer among them
     * @param noAnswerProbability of no answer against the best one alone
     */
    record Answers(List<QuestionAnswerer.Span> best, double noneScore, double noAnswerProbability) {}

    AnswerSpans(AnswerWindows windows, int maxAnswer, int wanted) {
        this.windows = windows;
        this.maxAnswer = maxAnswer;
        this.kept = Math.max(BEST, wanted);
        this.none = new float[windows.questions().size()];
        Arrays.fill(none, Float.POSITIVE_INFINITY);
        windows.questions().forEach(question -> spans.add(new HashMap<>()));
    }

    /** Takes in the logits [T, 2] of the next windows. */
    void add(PackedBatch batch, float[] logits) {
        for (int b = 0; b < batch.sequences(); b++) {
            add(logits, batch.cuSeqlens()[b]);
        }
    }

    /** Takes in the next window, the logits of whose [CLS] are in this row. */
    void add(float[] logits, int row) {
        AnswerWindows.Window window = windows.window(next++);
        none[window.question()] = Math.min(none[window.question()], Evaluation.number(logits[2 * row] + logits[2 * row + 1]));
        Map<Long, Float> found = spans.get(window.question());
        for (Span span : best(window, logits, row + window.first())) {
            found.merge((long) span.first << Integer.SIZE | span.last, span.logit, Math::max);
        }
    }

    /** The window's best spans, in tokens of the context; {@code row} is where the logits of its first token stand. */
    private PriorityQueue<Span> best(AnswerWindows.Window window, float[] logits, int row) {
        PriorityQueue<Span> best = new PriorityQueue<>(Comparator.comparingDouble(Span::logit));
        int shown = window.to() - window.from();
        for (int i = 0; i < shown; i++) {
            for (int j = i; j < Math.min(shown, i + maxAnswer); j++) {
                float logit = Evaluation.number(logits[2 * (row + i)] + logits[2 * (row + j) + 1]);
                if (best.size() < kept || logit > best.element().logit) {
                    best.add(new Span(window.from() + i, window.from() + j, logit));
                }
                if (best.size() > kept) {
                    best.remove();
                }
            }
        }
        return best;
    }

    /** The answers to a question all of whose windows were taken in; before that, of those that were. */
    Answers answers(int question) {
        if (spans.get(question).isEmpty()) {
            return new Answers(List.of(), 1, 1);
        }
        List<Span> best = spans.get(question).entrySet().stream()
                .map(e -> new Span((int) (e.getKey() >>> Integer.SIZE), e.getKey().intValue(), e.getValue()))
                .sorted(Comparator.comparingDouble(Span::logit).reversed().thenComparing(Span::first).thenComparing(Span::last))
                .limit(kept).toList();
        float[] logits = new float[best.size() + 1];
        for (int i = 0; i < best.size(); i++) {
            logits[i] = best.get(i).logit;
        }
        logits[best.size()] = none[question];
        double[] scores = TextClassifier.softmax(logits, 0, logits.length);
        Located context = windows.context(question);
        String text = windows.questions().get(question).context();
        List<QuestionAnswerer.Span> found = new ArrayList<>();
        for (int i = 0; i < best.size(); i++) {
            int start = context.starts()[best.get(i).first];
            int end = context.ends()[best.get(i).last];
            found.add(new QuestionAnswerer.Span(text.substring(start, end), start, end, scores[i]));
        }
        double against = 1 / (1 + Math.exp((double) best.get(0).logit - none[question]));
        return new Answers(found, scores[best.size()], against);
    }
}
