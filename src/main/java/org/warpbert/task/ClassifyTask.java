package org.warpbert.task;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.warpbert.WarpBertException;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.ParameterTable;
import org.warpbert.text.Examples;
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
    private final ClassWeights classWeights;
    private final double smoothing;
    private LabelMap labels;
    private float[] weights; // [C], or null

    private ClassifyTask(String name, Columns columns, ClassWeights classWeights, double smoothing) {
        if (!(smoothing >= 0 && smoothing < 1)) {
            throw new WarpBertException("the label smoothing (--label-smoothing) is " + smoothing + ", it must be in [0, 1)");
        }
        this.name = name;
        this.columns = columns;
        this.classWeights = classWeights;
        this.smoothing = smoothing;
    }

    /** Of texts, or of pairs where the columns name a second one. */
    public static ClassifyTask of(Columns columns) {
        return of(NAME, columns, null, 0);
    }

    /**
     * With a loss that is not the plain one; it is also what the run's dev loss is.
     *
     * @param name      {@link #NAME} or {@link #PAIR}
     * @param weights   of the classes, or null: all the same
     * @param smoothing share of each label that is spread over all classes, in [0, 1)
     */
    public static ClassifyTask of(String name, Columns columns, ClassWeights weights, double smoothing) {
        return new ClassifyTask(name, columns, weights, smoothing);
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public Object settings() {
        return new Settings(columns, smoothing, classWeights == null ? null : classWeights.toString());
    }

    private record Settings(Columns columns, double labelSmoothing, String classWeights) {}

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
        Examples examples = ((TextDataset) train).examples();
        labels = model.labels(LabelMap.fromTraining(examples), note);
        if (classWeights != null) {
            weights = classWeights.of(labels, labels.ids(examples), train.file());
            note.accept("class weights: " + IntStream.range(0, weights.length)
                    .mapToObj(c -> String.format(Locale.ROOT, "%s %.4g", labels.label(c), weights[c])).collect(Collectors.joining(", ")));
        }
    }

    @Override
    public void open(Checkpoint model) {
        model.requireFor(Purpose.TEXTS);
        labels = model.labels("classification head");
        if (classWeights != null && classWeights.named() == null) {
            throw new WarpBertException("balanced class weights (--class-weights) come of training data; name the weights here");
        }
        weights = classWeights == null ? null : classWeights.of(labels, new int[0], null);
    }

    @Override
    public void assume(Integer asked, Checkpoint model) {
        labels = Checkpoint.assumed(asked, model);
        weights = classWeights == null ? null : new float[labels.size()];
    }

    @Override
    public ParameterTable parameters(BertConfig config) {
        return ClassificationHead.parameters(config, labels.size());
    }

    @Override
    public Head head() {
        return new ClassificationHead(labels.size(), new CrossEntropy(weights, smoothing));
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
                .withUse(new BertConfig.Use(Purpose.TEXTS.architecture(), "single_label_classification", name));
    }
}
