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
import org.warpbert.text.PackedBatch;

/**
 * One class for each labelled token: dropout, linear layer, softmax cross-entropy (Devlin et al. 2019, section 5.3). Only the
 * labelled rows are read. M labelled tokens, H hidden size, C classes.
 */
public final class TaggingHead implements Head {
    private final int classes;
    private Arena.Tensor dropped; // [M, H]
    private Arena.Tensor logits; // [M, C]
    private Arena.Tensor loss; // [M]
    private List<LossTerm> lossTerms;
    private Arena.Tensor logitsGradient; // [M, C]
    private Linear classifier;
    private int count;

    public TaggingHead(int classes) {
        this.classes = classes;
    }

    /** The parameters of a BERT with this head; it has no pooler. */
    public static ParameterTable parameters(BertConfig config, int classes) {
        return ParameterTable.bert(config).classifier(classes).build();
    }

    @Override
    public void plan(Arena arena, BertConfig config, PassPlan plan) {
        int m = plan.capacity().labelled();
        dropped = arena.add("tagging.dropped", plan.dtype(), m, config.hiddenSize());
        logits = arena.add("tagging.logits", plan.dtype(), m, classes);
        loss = arena.add("tagging.loss", Dtype.F32, m);
        lossTerms = List.of(new LossTerm(loss, () -> count));
        if (plan.training()) {
            logitsGradient = arena.add("tagging.logits.gradient", plan.dtype(), m, classes);
        }
    }

    @Override
    public OutputRows outputRows() {
        return OutputRows.LABELLED;
    }

    @Override
    public void bind(ParameterBuffers buffers) {
        classifier = new Linear(buffers, "classifier");
    }

    @Override
    public void forward(Pass pass) {
        count = pass.labelled();
        pass.backend().dropoutForward(pass.dtype(), dropped.address(), pass.lastHiddenState(), pass.headDropout(), pass.headSite(),
                pass.rng(), pass.outputDropoutRows(), count, pass.config().hiddenSize());
        classifier.forward(pass, logits.address(), logits.address(), dropped.address(), Activation.IDENTITY, count);
    }

    @Override
    public void evaluate(Pass pass) {
        pass.backend().crossEntropy(pass.dtype(), loss.address(), 0, logits.address(), pass.tokenLabels(), 0, 0,
                PackedBatch.IGNORE, 0, count, classes, classes);
    }

    @Override
    public double normaliser(PackedBatch batch, int term) {
        return batch.labelledRows().length;
    }

    @Override
    public void backward(Pass pass, float[] gradientScales) {
        long gradient = pass.lastHiddenStateGradient();
        pass.backend().crossEntropy(pass.dtype(), loss.address(), logitsGradient.address(), logits.address(), pass.tokenLabels(),
                0, 0, PackedBatch.IGNORE, gradientScales[0], count, classes, classes);
        classifier.backward(pass, gradient, logitsGradient.address(), 0, dropped.address(), Activation.IDENTITY, count);
        pass.backend().dropoutBackward(pass.dtype(), gradient, gradient, pass.headDropout(), pass.headSite(), pass.rng(),
                pass.outputDropoutRows(), count, pass.config().hiddenSize());
    }

    /** Logits of the batch last forwarded, row-major [M, C]. */
    public float[] logits() {
        return logits.downloadFloats(Math.multiplyExact(count, classes));
    }

    @Override
    public List<LossTerm> lossTerms() {
        return lossTerms;
    }
}
