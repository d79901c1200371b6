package org.warpbert.task;

import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.List;
import org.warpbert.WarpBertException;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.ParameterTable;
import org.warpbert.text.Example;
import org.warpbert.text.Examples;
import org.warpbert.text.InstanceSource;
import org.warpbert.text.LabelledTexts;
import org.warpbert.text.WordPieceTokenizer;

/** A number for each text or pair of texts, by mean squared error: STS-B. */
public final class RegressTask implements Task {
    public static final String NAME = "regress";
    private static final String PROBLEM = "regression";

    private final Columns columns;

    /** Of texts, or of pairs where the columns name a second one. */
    public RegressTask(Columns columns) {
        this.columns = columns;
    }

    /** Whether a model says a number: it tells so, or has, as transformers has it, one label and tells nothing. */
    public static boolean made(BertConfig model) {
        BertConfig.Use use = model.use();
        boolean one = model.id2label() != null && model.id2label().size() == 1;
        return PROBLEM.equals(use.problem()) || use.problem() == null && one && Purpose.of(model) == Purpose.TEXTS;
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public Object settings() {
        return new Settings(columns);
    }

    private record Settings(Columns columns) {}

    @Override
    public Dataset read(Path file) {
        TextDataset data = columns.read(file);
        data.examples().rows().forEach(row -> number(row, file)); // what is no number is said before a model is fetched
        return data;
    }

    @Override
    public void check(Path file) {
        columns.check(file);
    }

    @Override
    public void open(Checkpoint model) {
        model.requireFor(Purpose.TEXTS);
    }

    @Override
    public ParameterTable parameters(BertConfig config) {
        return ClassificationHead.parameters(config, 1);
    }

    @Override
    public Head head() {
        return new ClassificationHead(1, ElementLoss.SQUARED_ERROR);
    }

    @Override
    public InstanceSource instances(Dataset data, WordPieceTokenizer tokenizer, int maxLength) {
        Examples examples = ((TextDataset) data).examples();
        int[][] labels = examples.rows().stream().map(row -> new int[] {Float.floatToRawIntBits(number(row, data.file()))}).toArray(int[][]::new);
        return new LabelledTexts(tokenizer, examples.rows(), labels, maxLength);
    }

    /** Decimal, with an exponent or without; what {@link Float#parseFloat} takes beyond that is no number to a reader of the file. */
    private static float number(Example row, Path file) {
        try {
            float value = new BigDecimal(row.label()).floatValue();
            if (Float.isFinite(value)) {
                return value;
            }
        } catch (NumberFormatException e) {
            // said below
        }
        throw new WarpBertException(file + ", line " + row.line() + ": the label '" + row.label() + "' is no finite number");
    }

    @Override
    public Judge judge(Dataset data, InstanceSource instances, Head head) {
        return new RegressionJudge((ClassificationHead) head, data.size());
    }

    @Override
    public List<String> metrics() {
        return List.of(RegressionJudge.PEARSON, RegressionJudge.SPEARMAN);
    }

    /** One label, so that transformers gives the head one output. */
    @Override
    public BertConfig saved(BertConfig config) {
        return config.withLabels(List.of("LABEL_0")).withUse(new BertConfig.Use(Purpose.TEXTS.architecture(), PROBLEM, NAME));
    }
}
