package org.warpbert.task;

import java.util.Arrays;
import java.util.List;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.Arena;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.Linear;
import org.warpbert.model.LossTerm;
import org.warpbert.model.OutputRows;
import org.warpbert.model.ParameterBuffers;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Pass;
import org.warpbert.model.PassPlan;
import org.warpbert.model.Pooler;
import org.warpbert.text.PackedBatch;

/**
 * The two objectives that BERT is pre-trained with (Devlin et al. 2019, section 3.1): the masked words at the batch's labelled
 * rows and, where wanted, how a sequence's two texts stand to each other, from the pooled [CLS]. The loss is the sum of
 * both means. M labelled rows, B sequences, H hidden size.
 */
public final class MaskedWordHead implements Head {
    /** Rows whose logits are in memory at a time: enough for a product's full speed, 31 MB of float32 for BERT's vocabulary. */
    static final int CHUNK = 256;
    private static final int RELATIONS = 2;

    private final boolean relation;
    private final MaskedWordDecoder words;
    private Arena.Tensor pooledGradient; // [B, H]; training
    private Arena.Tensor logits; // [B, 2]
    private Arena.Tensor loss; // [B]
    private List<LossTerm> lossTerms;
    private Pooler pooler;
    private Linear classifier;
    private int sequences;

    /**
     * @param relation whether sequences have labels: 0 where the second text follows the first, 1 where it does not
     * @param chunk    most masked rows whose logits are in memory at a time
     */
    public MaskedWordHead(boolean relation, int chunk) {
        this.relation = relation;
        this.words = new MaskedWordDecoder(chunk);
    }

    /** The parameters of a BERT with this head. */
    public static ParameterTable parameters(BertConfig config, boolean relation) {
        ParameterTable.Builder table = ParameterTable.bert(config).maskedLanguageModel();
        return (relation ? table.pooler().sequenceRelationship() : table).build();
    }

    @Override
    public void plan(Arena arena, BertConfig config, PassPlan plan) {
        int b = relation ? plan.capacity().sequences() : 0;
        words.plan(arena, config, plan);
        if (relation) {
            pooler = new Pooler(arena, config, plan);
            logits = arena.add("relation.logits", plan.dtype(), b, RELATIONS);
            loss = arena.add("relation.loss", Dtype.F32, b);
        }
        lossTerms = relation ? List.of(words.lossTerm(), new LossTerm(loss, () -> sequences)) : List.of(words.lossTerm());
        if (relation && plan.training()) {
            pooledGradient = arena.add("relation.pooled.gradient", plan.dtype(), b, config.hiddenSize());
        }
    }

    @Override
    public OutputRows outputRows() {
        return relation ? OutputRows.LABELLED_AND_FIRST : OutputRows.LABELLED;
    }

    @Override
    public void bind(ParameterBuffers buffers) {
        words.bind(buffers);
        if (relation) {
            pooler.bind(buffers);
            classifier = new Linear(buffers, "cls.seq_relationship");
        }
    }

    @Override
    public void forward(Pass pass) {
        sequences = relation ? pass.sequences() : 0;
        words.forward(pass, pass.lastHiddenState());
        if (relation) {
            pooler.forward(pass);
            classifier.forward(pass, logits.address(), logits.address(), pooler.output().address(), Activation.IDENTITY, sequences);
        }
    }

    @Override
    public void evaluate(Pass pass) {
        words.evaluate(pass);
        if (relation) {
            crossEntropy(pass, 0, 0);
        }
    }

    /** The words', and the relation's where it is wanted. */
    @Override
    public int terms() {
        return relation ? 2 : 1;
    }

    @Override
    public double normaliser(PackedBatch batch, int term) {
        return term == 0 ? batch.tokenLabels().length : batch.knownLabels();
    }

    @Override
    public void backward(Pass pass, float[] gradientScales) {
        words.backward(pass, pass.lastHiddenStateGradient(), pass.lastHiddenState(), gradientScales[0]);
        if (relation) {
            crossEntropy(pass, logits.address(), gradientScales[1]);
            classifier.backward(pass, pooledGradient.address(), logits.address(), 0, pooler.output().address(), Activation.IDENTITY, sequences);
            pooler.backward(pass, pooledGradient.address());
        }
    }

    private void crossEntropy(Pass pass, long gradient, float gradientScale) {
        pass.backend().crossEntropy(pass.dtype(), loss.address(), gradient, logits.address(), pass.labels(), 0, 0,
                PackedBatch.IGNORE, gradientScale, sequences, RELATIONS, RELATIONS);
    }

    @Override
    public List<LossTerm> lossTerms() {
        return lossTerms;
    }

    /** See {@link MaskedWordDecoder#logits}. */
    float[] wordLogits() {
        return words.logits();
    }

    /** Cross-entropy of each masked row of the batch last run backward or evaluated, [M]. */
    float[] wordLosses() {
        return words.losses();
    }

    /** The likeliest piece at each masked row of the batch last evaluated, [M]. */
    int[] predictedWords() {
        return words.predicted();
    }

    /** Whether each sequence's second text follows its first (0) or not (1), as the model has it; of the batch last evaluated, [B]. */
    int[] predictedRelations() {
        float[] scores = logits.downloadFloats(RELATIONS * sequences);
        int[] relations = new int[sequences];
        Arrays.setAll(relations, b -> Evaluation.argmax(scores, RELATIONS * b, RELATIONS));
        return relations;
    }
}
