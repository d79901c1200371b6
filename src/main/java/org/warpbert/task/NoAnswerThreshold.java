package org.warpbert.task;

import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * From which probability on a question counts as one that its context does not answer. The threshold with the best mean
 * score is found as the official evaluation script of SQuAD 2.0 finds it.
 *
 * @param threshold a question has no answer where its probability of none is larger
 * @param score     the mean of the questions' scores there
 */
record NoAnswerThreshold(double threshold, double score) {
    /** No probability is larger: every question is answered. */
    static final double NEVER = 1;
    /** No answer is likelier than the best one. */
    static final double EVEN = 0.5;

    /**
     * The best threshold: 0 or one of the probabilities; all in question order.
     *
     * @param scores      of the best answers that are not none
     * @param empty       whether these are empty texts
     * @param answerable  whether a question has an answer
     * @param probability of having none, in [0, 1]
     */
    static NoAnswerThreshold best(double[] scores, boolean[] empty, boolean[] answerable, double[] probability) {
        double score = IntStream.range(0, scores.length).filter(q -> !answerable[q]).count(); // none for all
        double best = score;
        double threshold = 0;
        int[] ascending = IntStream.range(0, scores.length).boxed().sorted(Comparator.comparingDouble(q -> probability[q]))
                .mapToInt(Integer::intValue).toArray();
        for (int q : ascending) {
            score += answerable[q] ? scores[q] : empty[q] ? 0 : -1;
            if (score > best) {
                best = score;
                threshold = probability[q];
            }
        }
        return new NoAnswerThreshold(threshold, best / scores.length);
    }

    /** The score of a question under a threshold: its answer's, or that of none. */
    static double applied(double threshold, double score, boolean answerable, double probability) {
        return probability > threshold ? answerable ? 0 : 1 : score;
    }
}
