package org.warpbert.task;

import java.util.Arrays;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.Arena;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Linear;
import org.warpbert.model.LossTerm;
import org.warpbert.model.ParameterBuffers;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Pass;
import org.warpbert.model.PassPlan;
import org.warpbert.text.PackedBatch;

/**
 * From hidden states to pieces of the vocabulary (Devlin et al. 2019, section 3.1, as their code has it): dense, activation,
 * LayerNorm, then the word embeddings as decoder, and a bias. Logits are made for a chunk of rows at a time, in one buffer
 * where their gradient takes their place. M rows, H hidden size, V vocabulary; W: V rounded up ({@link ParameterTable#decodedWords}),
 * of which the last rows of decoder and bias are zeros, and stay so since their logits' gradients are 0.
 */
final class MaskedWordDecoder {
    private static final String TRANSFORM = "cls.predictions.transform.";
    private static final String WORDS = "embeddings.word_embeddings.weight";
    private static final String BIAS = "cls.predictions.bias";

    private final int chunk;
    private Arena.Tensor product; // [M, H]
    private Arena.Tensor activated; // [M, H]; without training the same as the product
    private Arena.Tensor mean; // [M], training
    private Arena.Tensor rstd; // [M], training
    private Arena.Tensor transformed; // [M, H]
    private Arena.Tensor logits; // [chunk, W]
    private Arena.Tensor loss; // [M]
    private Arena.Tensor gradient; // [M, H], of transformed, then of product; training
    private Arena.Tensor workspace; // the bias's gradient's; training
    private Linear dense;
    private long gamma;
    private long gammaGradient;
    private long beta;
    private long betaGradient;
    private long decoder; // [W, H]
    private long decoderGradient; // [W, H], or 0: the embeddings are frozen
    private long bias; // [W]
    private long biasGradient; // [W]
    private int hidden;
    private int vocabulary;
    private int width; // W
    private int count;
    private int inChunk;
    private int[] predicted = {};

    /** @param chunk most rows whose logits are in memory at a time */
    MaskedWordDecoder(int chunk) {
        this.chunk = chunk;
    }

    void plan(Arena arena, BertConfig config, PassPlan plan) {
        int m = plan.capacity().labelled();
        hidden = config.hiddenSize();
        vocabulary = config.vocabSize();
        width = ParameterTable.decodedWords(vocabulary);
        product = arena.add("mlm.product", plan.dtype(), m, hidden);
        transformed = arena.add("mlm.transformed", plan.dtype(), m, hidden);
        logits = arena.add("mlm.logits", plan.dtype(), Math.min(m, chunk), width);
        loss = arena.add("mlm.loss", Dtype.F32, m);
        activated = product;
        if (plan.training()) {
            activated = arena.add("mlm.activated", plan.dtype(), m, hidden);
            mean = arena.add("mlm.mean", Dtype.F32, m);
            rstd = arena.add("mlm.rstd", Dtype.F32, m);
            gradient = arena.add("mlm.gradient", plan.dtype(), m, hidden);
            workspace = arena.add("mlm.workspace", Dtype.F32, Backend.REDUCE_BLOCKS, width);
        }
    }

    void bind(ParameterBuffers buffers) {
        dense = new Linear(buffers, TRANSFORM + "dense");
        gamma = buffers.weight(TRANSFORM + "LayerNorm.weight");
        gammaGradient = buffers.gradient(TRANSFORM + "LayerNorm.weight");
        beta = buffers.weight(TRANSFORM + "LayerNorm.bias");
        betaGradient = buffers.gradient(TRANSFORM + "LayerNorm.bias");
        decoder = buffers.operand(WORDS);
        decoderGradient = buffers.gradient(WORDS);
        bias = buffers.weight(BIAS);
        biasGradient = buffers.gradient(BIAS);
    }

    /** From the labelled rows' hidden states x [M, H] to what the decoder multiplies. */
    void forward(Pass pass, long x) {
        count = pass.labelled();
        boolean training = pass.training();
        dense.forward(pass, activated.address(), product.address(), x, pass.config().hiddenAct(), count);
        pass.backend().residualLayernormForward(pass.dtype(), transformed.address(), training ? activated.address() : 0,
                training ? mean.address() : 0, training ? rstd.address() : 0, activated.address(), 0, 0, gamma, beta,
                (float) pass.config().layerNormEps(), 0, 0, 0, 0, count, hidden);
    }

    /** Losses, and the likeliest piece of each row. */
    void evaluate(Pass pass) {
        predicted = new int[count];
        for (int from = 0; from < count; from += chunk) {
            score(pass, from);
            crossEntropy(pass, from, false, 0);
            float[] scores = logits();
            for (int m = 0; m < inChunk; m++) {
                predicted[from + m] = Evaluation.argmax(scores, m * vocabulary, vocabulary);
            }
        }
    }

    /** Losses, the parameters' gradients, and that of x [M, H]; each chunk's logits are made, used, and made way for. */
    void backward(Pass pass, long dx, long x, float gradientScale) {
        Backend backend = pass.backend();
        for (int from = 0; from < count; from += chunk) {
            score(pass, from);
            crossEntropy(pass, from, true, gradientScale);
            backend.biasActivationBackward(pass.dtype(), logits.address(), biasGradient, workspace.address(), logits.address(),
                    0, 0, Activation.IDENTITY, inChunk, width);
            if (decoderGradient != 0) {
                // tables' gradients are cleared before a step: the embeddings' own backward adds to the same one
                backend.gemm().backwardWeight(pass.dtype(), decoderGradient, logits.address(), row(pass, transformed, from), true,
                        inChunk, hidden, width);
            }
            backend.gemm().backwardInput(pass.dtype(), row(pass, gradient, from), logits.address(), decoder, false, inChunk,
                    hidden, width);
        }
        backend.residualLayernormBackward(pass.dtype(), gradient.address(), 0, 0, gammaGradient, betaGradient, pass.workspace(),
                gradient.address(), activated.address(), mean.address(), rstd.address(), gamma, 0, 0, 0, 0, count, hidden);
        dense.backward(pass, dx, gradient.address(), product.address(), x, pass.config().hiddenAct(), count);
    }

    /** Logits of the chunk of rows that begins here. */
    private void score(Pass pass, int from) {
        inChunk = Math.min(chunk, count - from);
        pass.backend().gemm().forward(pass.dtype(), logits.address(), row(pass, transformed, from), decoder, inChunk, hidden, width);
        pass.backend().biasActivationForward(pass.dtype(), logits.address(), logits.address(), bias, Activation.IDENTITY, inChunk, width);
    }

    private void crossEntropy(Pass pass, int from, boolean gradients, float gradientScale) {
        pass.backend().crossEntropy(pass.dtype(), loss.address() + (long) from * Float.BYTES, gradients ? logits.address() : 0,
                logits.address(), pass.tokenLabels() + (long) from * Integer.BYTES, 0, 0, PackedBatch.IGNORE, gradientScale,
                inChunk, vocabulary, width);
    }

    private long row(Pass pass, Arena.Tensor tensor, int from) {
        return tensor.address() + (long) from * hidden * pass.dtype().bytes();
    }

    /** Row-major [M, V] of the batch last evaluated, where its M rows fit one chunk: else those of the last chunk. */
    float[] logits() {
        float[] scores = logits.downloadFloats(Math.multiplyExact(inChunk, width));
        for (int m = 1; m < inChunk && width > vocabulary; m++) {
            System.arraycopy(scores, m * width, scores, m * vocabulary, vocabulary);
        }
        return Arrays.copyOf(scores, inChunk * vocabulary);
    }

    /** Cross-entropy of each row of the batch last run backward or evaluated, [M]. */
    float[] losses() {
        return loss.downloadFloats(count);
    }

    /** Of the tensor last planned. */
    LossTerm lossTerm() {
        return new LossTerm(loss, () -> count);
    }

    /** The likeliest piece of each row of the batch last evaluated, [M]. */
    int[] predicted() {
        return predicted;
    }
}
