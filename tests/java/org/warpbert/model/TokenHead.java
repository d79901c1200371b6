package org.warpbert.model;

import java.util.List;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.Arena;
import org.warpbert.text.PackedBatch;

/** A class for each labelled token: dropout, linear layer, cross-entropy; the mean over tokens. M rows, C classes. */
final class TokenHead implements Head {
    private final int classes;
    private Arena.Tensor rows; // [M, H]
    private Arena.Tensor dropped; // [M, H]
    private Arena.Tensor logits; // [M, C]
    private Arena.Tensor loss; // [M]
    private Arena.Tensor logitsGradient; // [M, C]
    private Linear classifier;
    private int count;

    TokenHead(int classes) {
        this.classes = classes;
    }

    @Override
    public void plan(Arena arena, BertConfig config, PassPlan plan) {
        int m = plan.capacity().labelled();
        rows = arena.add("tokens.rows", plan.dtype(), m, config.hiddenSize());
        dropped = arena.add("tokens.dropped", plan.dtype(), m, config.hiddenSize());
        logits = arena.add("tokens.logits", plan.dtype(), m, classes);
        loss = arena.add("tokens.loss", Dtype.F32, m);
        logitsGradient = arena.add("tokens.logits.gradient", plan.dtype(), m, classes);
    }

    @Override
    public void bind(ParameterBuffers buffers) {
        classifier = new Linear(buffers, "classifier");
    }

    @Override
    public void forward(Pass pass) {
        count = pass.labelled();
        int h = pass.config().hiddenSize();
        pass.backend().gatherRowsForward(pass.dtype(), rows.address(), pass.lastHiddenState(), pass.labelledRows(), count, pass.tokens(), h);
        pass.backend().dropoutForward(pass.dtype(), dropped.address(), rows.address(), pass.headDropout(), pass.headSite(),
                pass.rng(), pass.labelledDropoutRows(), count, h);
        classifier.forward(pass, logits.address(), logits.address(), dropped.address(), Activation.IDENTITY, count);
    }

    @Override
    public double normaliser(PackedBatch batch, int term) {
        return batch.labelledRows().length;
    }

    @Override
    public void backward(Pass pass, float[] gradientScales) {
        int h = pass.config().hiddenSize();
        pass.backend().crossEntropy(pass.dtype(), loss.address(), logitsGradient.address(), logits.address(), pass.tokenLabels(), 0, 0,
                PackedBatch.IGNORE, gradientScales[0], count, classes);
        classifier.backward(pass, rows.address(), logitsGradient.address(), 0, dropped.address(), Activation.IDENTITY, count);
        pass.backend().dropoutBackward(pass.dtype(), rows.address(), rows.address(), pass.headDropout(), pass.headSite(),
                pass.rng(), pass.labelledDropoutRows(), count, h);
        pass.backend().gatherRowsBackward(pass.dtype(), pass.lastHiddenStateGradient(), rows.address(), pass.labelledRows(), count,
                pass.tokens(), h);
    }

    @Override
    public List<LossTerm> lossTerms() {
        return List.of(new LossTerm(loss, () -> count));
    }
}
