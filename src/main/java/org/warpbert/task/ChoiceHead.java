package org.warpbert.task;

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
 * One of a question's candidates, each a sequence: pooler, dropout, a linear layer to one score, and a softmax over the
 * candidates of a question (Devlin et al. 2019, section 4.4). B sequences of E questions, H hidden size.
 */
public final class ChoiceHead implements Head {
    private Pooler pooler;
    private Arena.Tensor dropped; // [B, H]
    private Arena.Tensor scores; // [B, 1]
    private Arena.Tensor loss; // [E, 1]
    private List<LossTerm> lossTerms;
    private Arena.Tensor scoresGradient; // [B, 1]
    private Arena.Tensor pooledGradient; // [B, H]
    private Linear classifier;
    private int sequences;
    private int examples;

    /** The parameters of a BERT with this head. */
    public static ParameterTable parameters(BertConfig config) {
        return ParameterTable.bert(config).pooler().classifier(1).build();
    }

    @Override
    public void plan(Arena arena, BertConfig config, PassPlan plan) {
        int b = plan.capacity().sequences();
        int h = config.hiddenSize();
        pooler = new Pooler(arena, config, plan);
        dropped = arena.add("choice.dropped", plan.dtype(), b, h);
        scores = arena.add("choice.scores", plan.dtype(), b);
        loss = arena.add("choice.loss", Dtype.F32, plan.capacity().examples());
        lossTerms = List.of(new LossTerm(loss, () -> examples));
        if (plan.training()) {
            scoresGradient = arena.add("choice.scores.gradient", plan.dtype(), b);
            pooledGradient = arena.add("choice.pooled.gradient", plan.dtype(), b, h);
        }
    }

    @Override
    public OutputRows outputRows() {
        return OutputRows.FIRST;
    }

    @Override
    public void bind(ParameterBuffers buffers) {
        pooler.bind(buffers);
        classifier = new Linear(buffers, "classifier");
    }

    @Override
    public void forward(Pass pass) {
        sequences = pass.sequences();
        examples = pass.examples();
        pooler.forward(pass);
        pass.backend().dropoutForward(pass.dtype(), dropped.address(), pooler.output().address(), pass.headDropout(),
                pass.headSite(), pass.rng(), pass.sequenceDropoutRows(), sequences, pass.config().hiddenSize());
        classifier.forward(pass, scores.address(), scores.address(), dropped.address(), Activation.IDENTITY, sequences);
    }

    @Override
    public void evaluate(Pass pass) {
        pass.backend().segmentCrossEntropy(pass.dtype(), loss.address(), 0, scores.address(), pass.cuExamples(), pass.labels(),
                PackedBatch.IGNORE, 0, sequences, examples, 1);
    }

    @Override
    public double normaliser(PackedBatch batch, int term) {
        return batch.knownLabels();
    }

    @Override
    public void backward(Pass pass, float[] gradientScales) {
        pass.backend().segmentCrossEntropy(pass.dtype(), loss.address(), scoresGradient.address(), scores.address(), pass.cuExamples(),
                pass.labels(), PackedBatch.IGNORE, gradientScales[0], sequences, examples, 1);
        classifier.backward(pass, pooledGradient.address(), scoresGradient.address(), 0, dropped.address(),
                Activation.IDENTITY, sequences);
        pass.backend().dropoutBackward(pass.dtype(), pooledGradient.address(), pooledGradient.address(),
                pass.headDropout(), pass.headSite(), pass.rng(), pass.sequenceDropoutRows(), sequences, pass.config().hiddenSize());
        pooler.backward(pass, pooledGradient.address());
    }

    /** A score for each candidate of the batch last forwarded, [B]. */
    public float[] scores() {
        return scores.downloadFloats(sequences);
    }

    /** Cross-entropy of each question of the batch last run backward or evaluated, [E]; 0 where there is no label. */
    public float[] losses() {
        return loss.downloadFloats(examples);
    }

    @Override
    public List<LossTerm> lossTerms() {
        return lossTerms;
    }
}
