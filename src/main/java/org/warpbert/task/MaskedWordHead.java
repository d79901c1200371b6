package org.warpbert.task;

import org.warpbert.backend.Activation;
import org.warpbert.backend.Dropout;
import org.warpbert.memory.Arena;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.Linear;
import org.warpbert.model.ParameterBuffers;
import org.warpbert.model.Pass;
import org.warpbert.model.PassPlan;

/**
 * The masked language model's outputs (Devlin et al. 2019, section 3.1) at the batch's labelled rows: dense, activation,
 * LayerNorm, then the word embeddings as decoder, and a bias. For inference. M rows, H hidden size, V vocabulary.
 */
final class MaskedWordHead implements Head {
    private Arena.Tensor gathered; // [M, H]
    private Arena.Tensor transformed; // [M, H]
    private Arena.Tensor logits; // [M, V]
    private Linear dense;
    private long gamma;
    private long beta;
    private long decoder; // [V, H]
    private long bias; // [V]
    private int vocabulary;
    private int count;

    @Override
    public void plan(Arena arena, BertConfig config, PassPlan plan) {
        int m = plan.capacity().labelled();
        gathered = arena.add("mlm.gathered", plan.dtype(), m, config.hiddenSize());
        transformed = arena.add("mlm.transformed", plan.dtype(), m, config.hiddenSize());
        logits = arena.add("mlm.logits", plan.dtype(), m, config.vocabSize());
        vocabulary = config.vocabSize();
    }

    @Override
    public void bind(ParameterBuffers buffers) {
        dense = new Linear(buffers, "cls.predictions.transform.dense");
        gamma = buffers.weight("cls.predictions.transform.LayerNorm.weight");
        beta = buffers.weight("cls.predictions.transform.LayerNorm.bias");
        decoder = buffers.operand("embeddings.word_embeddings.weight");
        bias = buffers.weight("cls.predictions.bias");
    }

    @Override
    public void forward(Pass pass) {
        int hidden = pass.config().hiddenSize();
        count = pass.labelled();
        pass.backend().gatherRowsForward(pass.dtype(), gathered.address(), pass.lastHiddenState(), pass.labelledRows(), count,
                pass.tokens(), hidden);
        dense.forward(pass, transformed.address(), transformed.address(), gathered.address(), pass.config().hiddenAct(), count);
        pass.backend().residualLayernormForward(pass.dtype(), gathered.address(), 0, 0, 0, transformed.address(), 0, 0, gamma,
                beta, (float) pass.config().layerNormEps(), 0, 0, Dropout.NONE, count, hidden);
        pass.backend().gemm().forward(pass.dtype(), logits.address(), gathered.address(), decoder, count, hidden, vocabulary);
        pass.backend().biasActivationForward(pass.dtype(), logits.address(), logits.address(), bias, Activation.IDENTITY, count, vocabulary);
    }

    /** Row-major [M, V] of the batch last forwarded. */
    float[] logits() {
        return logits.downloadFloats(Math.multiplyExact(count, vocabulary));
    }
}
