package org.warpbert.task;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import org.warpbert.WarpBertException;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.ParameterTable;
import org.warpbert.text.Capacity;
import org.warpbert.text.Example;
import org.warpbert.text.InstanceSource;
import org.warpbert.text.LabelMap;
import org.warpbert.text.LabelledTexts;
import org.warpbert.text.WordPieceTokenizer;

/** Any number of classes for each text or pair of texts, none too: a yes or no to each, by binary cross-entropy. */
public final class MultiLabelTask implements Task {
    /** What stands between the labels of a cell where nobody says. */
    public static final String SEPARATOR = ",";
    private static final String PROBLEM = "multi_label_classification";

    private final String name;
    private final Columns columns;
    private final String separator;
    private LabelMap labels;

    /**
     * @param name      {@link ClassifyTask#NAME} or {@link ClassifyTask#PAIR}: to transformers it is the same model with another loss
     * @param separator what stands between the labels of a cell
     */
    public MultiLabelTask(String name, Columns columns, String separator) {
        if (separator.isEmpty()) {
            throw new WarpBertException("the separator of labels (--label-separator) is empty");
        }
        if (columns.flags() != null && Set.copyOf(columns.flags()).size() < columns.flags().size()) {
            throw new WarpBertException("a column of labels (--label) is named twice: " + String.join(",", columns.flags()));
        }
        this.name = name;
        this.columns = columns;
        this.separator = separator;
    }

    /** Whether a model was made so. */
    public static boolean made(BertConfig model) {
        return PROBLEM.equals(model.use().problem());
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public Object settings() {
        return new Settings(columns, separator);
    }

    private record Settings(Columns columns, String labelSeparator) {}

    @Override
    public Dataset read(Path file) {
        return columns.readSets(file, separator);
    }

    @Override
    public void check(Path file) {
        columns.checkSets(file);
    }

    @Override
    public void learn(Dataset train, Checkpoint model, Consumer<String> note) {
        LabelMap seen = LabelMap.fromSets(((TextDataset) train).examples());
        if (columns.flags() != null && columns.flags().size() > seen.size()) {
            List<String> without = columns.flags().stream().filter(name -> !seen.labels().contains(name)).toList();
            throw new WarpBertException("No row to learn from in " + train.file() + " has the label " + String.join(", ", without)
                    + "; leave that column out (--label)");
        }
        labels = model.labels(seen, note);
    }

    @Override
    public void open(Checkpoint model) {
        model.requireFor(Purpose.TEXTS);
        labels = model.labels("classification head");
    }

    @Override
    public void assume(Integer asked, Checkpoint model) {
        labels = Checkpoint.assumed(asked, model);
    }

    @Override
    public Capacity largest(int maxLength) {
        return new Capacity(maxLength, 1, 1, labels.size(), 0);
    }

    @Override
    public ParameterTable parameters(BertConfig config) {
        return ClassificationHead.parameters(config, labels.size());
    }

    @Override
    public Head head() {
        return new ClassificationHead(labels.size(), ElementLoss.BINARY_CROSS_ENTROPY);
    }

    @Override
    public InstanceSource instances(Dataset data, WordPieceTokenizer tokenizer, int maxLength) {
        List<Example> rows = ((TextDataset) data).examples().rows();
        return new LabelledTexts(tokenizer, rows, rows.stream().map(row -> targets(row, data.file())).toArray(int[][]::new), maxLength);
    }

    /** The bits of 1 for each label of a row, of 0 for the others, [C]. */
    private int[] targets(Example row, Path file) {
        int[] targets = new int[labels.size()];
        Arrays.fill(targets, Float.floatToRawIntBits(0));
        for (String label : row.labels()) {
            targets[labels.id(label, file, row.line())] = Float.floatToRawIntBits(1);
        }
        return targets;
    }

    @Override
    public Judge judge(Dataset data, InstanceSource instances, Head head) {
        return new MultiLabelJudge(labels, (ClassificationHead) head);
    }

    @Override
    public List<String> metrics() {
        return List.of(MultiLabelJudge.MICRO, MultiLabelJudge.MACRO, MultiLabelJudge.ACCURACY);
    }

    @Override
    public BertConfig saved(BertConfig config) {
        return config.withLabels(labels.labels()).withUse(new BertConfig.Use(Purpose.TEXTS.architecture(), PROBLEM, name));
    }
}
