package org.warpbert.task;

import java.util.List;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Consumer;
import org.warpbert.WarpBertException;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.ParameterTable;
import org.warpbert.text.AnswerWindows;
import org.warpbert.text.Capacity;
import org.warpbert.text.InstanceSource;
import org.warpbert.text.SquadFile;
import org.warpbert.text.WordPieceTokenizer;

/**
 * Answers as spans of a text (Devlin et al. 2019, figure 4 c): SQuAD 1.1 and 2.0, KorQuAD. Metrics are in percent and named
 * as in the official scripts. Where a model learns from questions without answers it may answer none; from which probability
 * on is tuned for F1 on the dev set of the last epoch, if that has such questions, and kept with the model.
 */
public final class QaTask implements Task {
    public static final String NAME = "qa";
    /** Name of the threshold among the model's settings. */
    static final String THRESHOLD = "no_answer_threshold";

    private final Options options;
    private double threshold = NoAnswerThreshold.NEVER;
    private Double tuned;

    /**
     * How questions and contexts become sequences, and logits answers.
     *
     * @param stride    tokens from the beginning of a window to that of the next
     * @param maxQuery  most tokens of a question
     * @param maxAnswer most tokens of an answer
     * @param threshold no answer where its probability is larger; null: as the model has it, 1 (never) where it has none
     * @param metric    null: KORQUAD where the file's version says KorQuAD, else SQUAD2 where a question has no answer, else SQUAD
     */
    public record Options(int stride, int maxQuery, int maxAnswer, Double threshold, AnswerMetric metric) {
        /** Devlin et al. 2019's. */
        public static final Options DEFAULT = new Options(128, 64, 30, null, null);
        /** Most tokens of a sequence, where a caller names none. */
        public static final int MAX_LENGTH = 384;

        public Options {
            least("the stride (--stride)", stride);
            least("the longest question (--max-query-length)", maxQuery);
            least("the longest answer (--max-answer-length)", maxAnswer);
            if (threshold != null && !(threshold >= 0 && threshold <= 1)) {
                throw new WarpBertException("the threshold of no answer (--no-answer-threshold) is " + threshold + ", it must be between 0 and 1");
            }
        }

        private static void least(String what, int value) {
            if (value < 1) {
                throw new WarpBertException(what + " is " + value + ", it must be at least 1");
            }
        }
    }

    public QaTask(Options options) {
        this.options = options;
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public Object settings() {
        return options;
    }

    @Override
    public int usualLength() {
        return Options.MAX_LENGTH;
    }

    @Override
    public String truncation(int maxLength) {
        return truncation(options);
    }

    static String truncation(Options options) {
        return "asked with their question cut to " + options.maxQuery + " tokens";
    }

    @Override
    public Dataset read(Path file) {
        return new QaDataset(SquadFile.read(file));
    }

    /** Fails also where the JSON is malformed anywhere: it cannot be told from its beginning. */
    @Override
    public void check(Path file) {
        SquadFile.json(file);
    }

    @Override
    public void learn(Dataset train, Checkpoint model, Consumer<String> note) {
        boolean none = ((QaDataset) train).unanswerable();
        threshold = options.threshold != null ? options.threshold : none ? NoAnswerThreshold.EVEN : NoAnswerThreshold.NEVER;
    }

    @Override
    public void open(Checkpoint model) {
        model.requireFor(Purpose.SPANS);
        threshold = threshold(options, model.config());
    }

    /** What was asked for, else what the model keeps, else to answer always. */
    static double threshold(Options options, BertConfig model) {
        return options.threshold != null ? options.threshold : model.use().settings().getOrDefault(THRESHOLD, NoAnswerThreshold.NEVER);
    }

    @Override
    public Capacity largest(int maxLength) {
        return new Capacity(maxLength, 1, 1, 2, 0);
    }

    @Override
    public ParameterTable parameters(BertConfig config) {
        return SpanHead.parameters(config);
    }

    @Override
    public Head head() {
        return new SpanHead();
    }

    @Override
    public InstanceSource instances(Dataset data, WordPieceTokenizer tokenizer, int maxLength) {
        try {
            return new AnswerWindows(tokenizer, ((QaDataset) data).questions(), maxLength, options.stride, options.maxQuery);
        } catch (WarpBertException e) {
            throw new WarpBertException(data.file() + ": " + e.getMessage(), e);
        }
    }

    @Override
    public Judge judge(Dataset data, InstanceSource instances, Head head) {
        QaDataset questions = (QaDataset) data;
        AnswerMetric metric = options.metric != null ? options.metric
                : questions.source().version().startsWith("KorQuAD") ? AnswerMetric.KORQUAD
                : questions.unanswerable() ? AnswerMetric.SQUAD2 : AnswerMetric.SQUAD;
        return new AnswerJudge(questions, (SpanHead) head, new AnswerSpans((AnswerWindows) instances, options.maxAnswer, 1), metric,
                threshold, best -> tuned = best);
    }

    @Override
    public List<String> metrics() {
        return List.of(AnswerJudge.F1, AnswerJudge.EXACT);
    }

    /** With the threshold: the one asked for, else the tuned one; a model that answers always keeps none. */
    @Override
    public BertConfig saved(BertConfig config) {
        double kept = options.threshold == null && threshold < NoAnswerThreshold.NEVER && tuned != null ? tuned : threshold;
        return config.withLabels(null).withUse(new BertConfig.Use(Purpose.SPANS.architecture(), null, NAME,
                kept < NoAnswerThreshold.NEVER ? Map.of(THRESHOLD, kept) : Map.of()));
    }
}
