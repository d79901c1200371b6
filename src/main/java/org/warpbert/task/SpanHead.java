package org.warpbert.task;

import java.util.List;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.Arena;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.Linear;
import org.warpbert.model.LossTerm;
import org.warpbert.model.ParameterBuffers;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Pass;
import org.warpbert.model.PassPlan;
import org.warpbert.text.PackedBatch;

/**
 * The first and the last token of an answer: a linear layer on every token, and for each of its two columns a softmax over
 * the tokens of a sequence (Devlin et al. 2019, section 4.2). T tokens, B sequences, H hidden size. The loss is the mean of
 * the ends' cross-entropies.
 */
public final class SpanHead implements Head {
    private static final int ENDS = 2;

    private Arena.Tensor logits; // [T, 2]
    private Arena.Tensor loss; // [B, 2]
    private List<LossTerm> lossTerms;
    private Arena.Tensor logitsGradient; // [T, 2]
    private Linear outputs;
    private int tokens;
    private int sequences;

    /** The parameters of a BERT with this head. */
    public static ParameterTable parameters(BertConfig config) {
        return ParameterTable.bert(config).span().build();
    }

    @Override
    public void plan(Arena arena, BertConfig config, PassPlan plan) {
        int t = plan.capacity().tokens();
        logits = arena.add("span.logits", plan.dtype(), t, ENDS);
        loss = arena.add("span.loss", Dtype.F32, plan.capacity().sequences(), ENDS);
        lossTerms = List.of(new LossTerm(loss, () -> sequences * ENDS));
        if (plan.training()) {
            logitsGradient = arena.add("span.logits.gradient", plan.dtype(), t, ENDS);
        }
    }

    @Override
    public void bind(ParameterBuffers buffers) {
        outputs = new Linear(buffers, "qa_outputs");
    }

    @Override
    public void forward(Pass pass) {
        tokens = pass.tokens();
        sequences = pass.sequences();
        outputs.forward(pass, logits.address(), logits.address(), pass.lastHiddenState(), Activation.IDENTITY, tokens);
    }

    @Override
    public void evaluate(Pass pass) {
        pass.backend().segmentCrossEntropy(pass.dtype(), loss.address(), 0, logits.address(), pass.cuSeqlens(), pass.labels(),
                PackedBatch.IGNORE, 0, tokens, sequences, ENDS);
    }

    /** Ends that are known: two for each sequence that has labels. */
    @Override
    public double normaliser(PackedBatch batch, int term) {
        return batch.knownLabels();
    }

    @Override
    public void backward(Pass pass, float[] gradientScales) {
        pass.backend().segmentCrossEntropy(pass.dtype(), loss.address(), logitsGradient.address(), logits.address(), pass.cuSeqlens(),
                pass.labels(), PackedBatch.IGNORE, gradientScales[0], tokens, sequences, ENDS);
        outputs.backward(pass, pass.lastHiddenStateGradient(), logitsGradient.address(), 0, pass.lastHiddenState(),
                Activation.IDENTITY, tokens);
    }

    /** Logits of the batch last forwarded, row-major [T, 2]: of being the first token, and of being the last. */
    public float[] logits() {
        return logits.downloadFloats(Math.multiplyExact(tokens, ENDS));
    }

    /** Cross-entropies of the batch last run backward or evaluated, row-major [B, 2]; 0 where there is no label. */
    public float[] losses() {
        return loss.downloadFloats(Math.multiplyExact(sequences, ENDS));
    }

    @Override
    public List<LossTerm> lossTerms() {
        return lossTerms;
    }
}
