package org.warpbert.cli;

import org.warpbert.task.AnswerMetric;
import org.warpbert.task.QaTask;
import picocli.CommandLine.Option;

/** How questions and contexts become sequences, and logits answers; what is not given is as in {@link QaTask.Options#DEFAULT}. */
final class QaOptions {
    static final String NAMES = "--stride, --max-query-length, --max-answer-length, --no-answer-threshold";
    private static final QaTask.Options DEFAULT = QaTask.Options.DEFAULT;

    @Option(names = "--stride", paramLabel = "N", description = "qa: tokens from the beginning of a window over a long context to that of the next (default: 128).")
    private Integer stride;

    @Option(names = "--max-query-length", paramLabel = "N", description = "qa: longer questions are cut to so many tokens (default: 64).")
    private Integer maxQuery;

    @Option(names = "--max-answer-length", paramLabel = "N", description = "qa: most tokens of an answer (default: 30).")
    private Integer maxAnswer;

    @Option(names = "--no-answer-threshold", paramLabel = "P", description = "qa: no answer where its probability is larger; 1: always answer (default: as tuned in training; 1 for models that learned no such question).")
    private Double threshold;

    boolean given() {
        return stride != null || maxQuery != null || maxAnswer != null || threshold != null;
    }

    /** @param metric see {@link QaTask.Options} */
    QaTask.Options get(AnswerMetric metric) {
        return new QaTask.Options(or(stride, DEFAULT.stride()), or(maxQuery, DEFAULT.maxQuery()), or(maxAnswer, DEFAULT.maxAnswer()),
                threshold, metric);
    }

    private static int or(Integer given, int otherwise) {
        return given != null ? given : otherwise;
    }
}
