package org.warpbert.task;

import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.ParameterTable;
import org.warpbert.text.Capacity;
import org.warpbert.text.ConllFile;
import org.warpbert.text.InstanceSource;
import org.warpbert.text.LabelMap;
import org.warpbert.text.TaggedSentence;
import org.warpbert.text.WordPieceTokenizer;
import org.warpbert.text.WordPieces;

/** A label for each word (Devlin et al. 2019, figure 4 d): entities, parts of speech. */
public final class TagTask implements Task {
    public static final String NAME = "tag";

    private final String text;
    private final String label;
    private LabelMap labels;

    /**
     * @param text  column of the words, see {@link ConllFile}; or null
     * @param label column of their labels; or null
     */
    public TagTask(String text, String label) {
        this.text = text;
        this.label = label;
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public Object settings() {
        return new Settings(text, label);
    }

    private record Settings(String text, String label) {}

    @Override
    public TagDataset read(Path file) {
        return new TagDataset(file, new ConllFile(file, text, label).read());
    }

    @Override
    public void check(Path file) {
        new ConllFile(file, text, label);
    }

    @Override
    public void learn(Dataset train, Checkpoint model, Consumer<String> note) {
        labels = model.labels(LabelMap.fromWords(((TagDataset) train).sentences(), train.file()), note);
        List<String> others = Entities.others(labels.labels());
        if (!others.isEmpty() && labels.labels().stream().anyMatch(label -> label.startsWith("B-"))) {
            note.accept(train.file() + ": '" + others.get(0) + "' is no tag of entities as B-... is: words are judged by accuracy alone");
        }
    }

    @Override
    public void open(Checkpoint model) {
        model.requireFor(Purpose.WORDS);
        labels = model.labels(TokenTagger.HEAD);
    }

    @Override
    public void assume(Integer asked, Checkpoint model) {
        labels = Checkpoint.assumed(asked, model);
    }

    @Override
    public Capacity largest(int maxLength) {
        return new Capacity(maxLength, 1, 1, 0, maxLength);
    }

    @Override
    public ParameterTable parameters(BertConfig config) {
        return TaggingHead.parameters(config, labels.size());
    }

    @Override
    public Head head() {
        return new TaggingHead(labels.size());
    }

    @Override
    public InstanceSource instances(Dataset data, WordPieceTokenizer tokenizer, int maxLength) {
        List<TaggedSentence> sentences = ((TagDataset) data).sentences();
        int[][] classes = sentences.stream().map(sentence -> labels.ids(sentence, data.file())).toArray(int[][]::new);
        return new WordPieces(tokenizer, sentences.stream().map(TaggedSentence::texts).toList(), classes, maxLength);
    }

    @Override
    public Judge judge(Dataset data, InstanceSource instances, Head head) {
        return new TagJudge(((TagDataset) data).sentences(), labels, (TaggingHead) head);
    }

    /** Those of entities where the labels are tags of them, else the share of words that are right. */
    @Override
    public List<String> metrics() {
        return Entities.areTags(labels.labels()) ? List.of(TagJudge.F1, "precision", "recall", TagJudge.ACCURACY) : List.of(TagJudge.ACCURACY);
    }

    @Override
    public BertConfig saved(BertConfig config) {
        return config.withLabels(labels.labels()).withUse(new BertConfig.Use(Purpose.WORDS.architecture(), null, NAME));
    }
}
