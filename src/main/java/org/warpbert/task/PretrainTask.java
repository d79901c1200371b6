package org.warpbert.task;

import java.util.List;
import java.nio.file.Path;
import java.util.Locale;
import java.util.function.Consumer;
import org.warpbert.WarpBertException;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.ParameterTable;
import org.warpbert.text.Capacity;
import org.warpbert.text.Documents;
import org.warpbert.text.InstanceSource;
import org.warpbert.text.Masking;
import org.warpbert.text.Objective;
import org.warpbert.text.PretrainingSequences;
import org.warpbert.text.WordPieceTokenizer;

/** Masked words, with or without a relation between two texts (Devlin et al. 2019, section 3.1): learned from running text. */
public final class PretrainTask implements Task {
    private final Objective objective;
    private final double share;
    private final boolean wholeWords;
    private final long seed;

    /**
     * @param share      of the pieces that is masked, {@link Masking#SHARE}
     * @param wholeWords see {@link Masking}
     * @param seed       of masks and pairs
     */
    public PretrainTask(Objective objective, double share, boolean wholeWords, long seed) {
        if (!(share > 0 && share < 1)) {
            throw new WarpBertException("the share of masked pieces (--mask-share) is " + share + ", it must lie between 0 and 1");
        }
        this.objective = objective;
        this.share = share;
        this.wholeWords = wholeWords;
        this.seed = seed;
    }

    /** What a task of this objective is called. */
    public static String name(Objective objective) {
        return objective.name().toLowerCase(Locale.ROOT);
    }

    @Override
    public String name() {
        return name(objective);
    }

    @Override
    public Object settings() {
        return new Settings(share, wholeWords, seed);
    }

    private record Settings(double maskShare, boolean wholeWord, long maskSeed) {}

    /** As Devlin et al. 2019 had it for nine steps in ten. */
    @Override
    public int usualLength() {
        return 128;
    }

    @Override
    public TextCorpus read(Path file) {
        return new TextCorpus(Documents.read(file));
    }

    @Override
    public void learn(Dataset train, Checkpoint model, Consumer<String> note) {
        check(model.config());
    }

    @Override
    public void open(Checkpoint model) {
        check(model.config());
    }

    private void check(BertConfig config) {
        if (objective.pairs() && config.typeVocabSize() < 2) {
            throw new WarpBertException("the model has no second segment (type_vocab_size " + config.typeVocabSize() + "): " + name()
                    + " needs pairs of texts");
        }
    }

    /** [CLS] and two [SEP], or one, are never masked. */
    @Override
    public Capacity largest(int maxLength) {
        int pieces = Math.max(1, maxLength - (objective.pairs() ? 3 : 2));
        return new Capacity(maxLength, 1, 1, objective.pairs() ? 1 : 0, Math.max(1, (int) Math.round(share * pieces)));
    }

    @Override
    public ParameterTable parameters(BertConfig config) {
        return MaskedWordHead.parameters(config, objective.pairs());
    }

    @Override
    public Head head() {
        return new MaskedWordHead(objective.pairs(), MaskedWordHead.CHUNK);
    }

    @Override
    public InstanceSource instances(Dataset data, WordPieceTokenizer tokenizer, int maxLength) {
        return new PretrainingSequences(((TextCorpus) data).documents(), objective, tokenizer,
                new Masking(tokenizer, share, wholeWords, seed), maxLength, seed);
    }

    @Override
    public Judge judge(Dataset data, InstanceSource instances, Head head) {
        return new PretrainingMetrics(objective, (MaskedWordHead) head);
    }

    @Override
    public List<String> metrics() {
        return List.of(PretrainingMetrics.WORDS); // of perplexity less is better, and it is a function of the loss
    }

    @Override
    public BertConfig saved(BertConfig config) {
        return config.withLabels(null).withUse(new BertConfig.Use(objective.pairs() ? "BertForPreTraining" : "BertForMaskedLM", null, name()));
    }
}
