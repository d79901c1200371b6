package org.warpbert.task;

import org.warpbert.backend.Activation;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.Dropout;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.Arena;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.Linear;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Pass;

/**
 * The masked language model's outputs (Devlin et al. 2019, section 3.1) at chosen rows: dense, activation, LayerNorm,
 * then the word embeddings as decoder, and a bias. For inference. N rows, H hidden size, V vocabulary.
 */
final class MaskedWordHead implements Head {
    private final DeviceMemory rows; // int32 [N]
    private final int count;
    private Arena.Tensor gathered; // [N, H]
    private Arena.Tensor transformed; // [N, H]
    private Arena.Tensor logits; // [N, V]
    private Linear dense;
    private long gamma;
    private long beta;
    private long decoder; // [V, H]
    private long bias; // [V]
    private int vocabulary;

    /** @param rows the packed batch's rows to predict, on the device, {@code count} of them */
    MaskedWordHead(DeviceMemory rows, int count) {
        this.rows = rows;
        this.count = count;
    }

    @Override
    public void plan(Arena arena, BertConfig config, int maxTokens, int maxSequences, boolean training) {
        gathered = arena.add("mlm.gathered", Dtype.F32, count, config.hiddenSize());
        transformed = arena.add("mlm.transformed", Dtype.F32, count, config.hiddenSize());
        logits = arena.add("mlm.logits", Dtype.F32, count, config.vocabSize());
        vocabulary = config.vocabSize();
    }

    @Override
    public void bind(ParameterTable table, long weights, long gradients) {
        dense = new Linear(table, weights, "cls.predictions.transform.dense");
        gamma = table.address(weights, "cls.predictions.transform.LayerNorm.weight");
        beta = table.address(weights, "cls.predictions.transform.LayerNorm.bias");
        decoder = table.address(weights, "embeddings.word_embeddings.weight");
        bias = table.address(weights, "cls.predictions.bias");
    }

    @Override
    public void forward(Pass pass) {
        int hidden = pass.config().hiddenSize();
        pass.backend().gatherRowsForward(pass.dtype(), gathered.address(), pass.lastHiddenState(), rows.address(), count,
                pass.tokens(), hidden);
        dense.forward(pass, transformed.address(), transformed.address(), gathered.address(), pass.config().hiddenAct(), count);
        pass.backend().residualLayernormForward(pass.dtype(), gathered.address(), 0, 0, 0, transformed.address(), 0, 0, gamma,
                beta, (float) pass.config().layerNormEps(), 0, 0, Dropout.NONE, count, hidden);
        pass.backend().gemm().forward(logits.address(), gathered.address(), decoder, count, hidden, vocabulary);
        pass.backend().biasActivationForward(pass.dtype(), logits.address(), logits.address(), bias, Activation.IDENTITY, count, vocabulary);
    }

    /** Row-major [N, V]. */
    float[] logits() {
        return logits.downloadFloats(Math.multiplyExact(count, vocabulary));
    }
}
