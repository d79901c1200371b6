package org.warpbert.task;

import java.util.List;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.warpbert.WarpBertException;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.ParameterTable;
import org.warpbert.text.InstanceSource;
import org.warpbert.text.LabelMap;
import org.warpbert.text.LabelledTexts;
import org.warpbert.text.PackedBatch;
import org.warpbert.text.WordPieceTokenizer;

/** One class for each text or pair of texts (Devlin et al. 2019, figure 4 a and b): CoLA, NSMC, MNLI. */
public final class ClassifyTask implements Task {
    public static final String NAME = "classify";
    public static final String PAIR = "pair";
    private static final String ACCURACY = "accuracy";
    private static final String MATTHEWS = "mcc";

    private final String name;
    private final Columns columns;
    private LabelMap labels;

    private ClassifyTask(String name, Columns columns) {
        this.name = name;
        this.columns = columns;
    }

    /** Of texts, or of pairs where the columns name a second one. */
    public static ClassifyTask of(Columns columns) {
        return new ClassifyTask(NAME, columns);
    }

    /** Of pairs: a second column must be named. */
    public static ClassifyTask ofPairs(Columns columns) {
        if (columns.pair() == null) {
            throw new WarpBertException("the column of the second text is missing: --pair");
        }
        return new ClassifyTask(PAIR, columns);
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public Dataset read(Path file) {
        return columns.read(file);
    }

    @Override
    public void check(Path file) {
        columns.check(file);
    }

    @Override
    public void learn(Dataset train, Checkpoint model, Consumer<String> note) {
        labels = model.labels(LabelMap.fromTraining(((TextDataset) train).examples()), note);
    }

    @Override
    public void open(Checkpoint model) {
        labels = model.labels("classification head");
    }

    @Override
    public ParameterTable parameters(BertConfig config) {
        return ClassificationHead.parameters(config, labels.size());
    }

    @Override
    public Head head() {
        return new ClassificationHead(labels.size());
    }

    @Override
    public InstanceSource instances(Dataset data, WordPieceTokenizer tokenizer, int maxLength) {
        TextDataset texts = (TextDataset) data;
        return LabelledTexts.ofClasses(tokenizer, texts.examples().rows(), labels.ids(texts.examples()), maxLength);
    }

    @Override
    public Judge judge(Dataset data, InstanceSource instances, Head head) {
        ClassificationHead classifier = (ClassificationHead) head;
        int classes = labels.size();
        ClassificationMetrics counts = new ClassificationMetrics(classes);
        return new Judge() {
            @Override
            public void add(PackedBatch batch) {
                float[] logits = classifier.logits();
                for (int b = 0; b < batch.sequences(); b++) {
                    counts.add(batch.labels()[b], Evaluation.argmax(logits, b * classes, classes));
                }
            }

            @Override
            public Map<String, Double> metrics() {
                Map<String, Double> metrics = new LinkedHashMap<>();
                metrics.put(ACCURACY, counts.accuracy());
                metrics.put(MATTHEWS, counts.matthewsCorrelation());
                return metrics;
            }

            @Override
            public Map<String, Double> baseline() {
                Map<String, Double> metrics = new LinkedHashMap<>();
                metrics.put(ACCURACY, counts.majority());
                metrics.put(MATTHEWS, 0.0);
                return metrics;
            }
        };
    }

    @Override
    public List<String> metrics() {
        return List.of(ACCURACY, MATTHEWS);
    }

    @Override
    public BertConfig saved(BertConfig config) {
        return config.withLabels(labels.labels())
                .withUse(new BertConfig.Use("BertForSequenceClassification", "single_label_classification", name));
    }
}
