package org.warpbert.model;

import java.util.function.ToLongFunction;

/** Word + position + segment embeddings, LayerNorm, dropout (Devlin et al. 2019, section 3 and figure 2). */
final class Embeddings {
    private static final int SITE = 0;

    private final Addresses w;
    private final Addresses dw;
    private final long touched;

    /** Of the tables and LayerNorm, or of their gradients. */
    private record Addresses(long word, long position, long segment, long gamma, long beta) {
        static Addresses of(ToLongFunction<String> address) {
            return new Addresses(address.applyAsLong(ParameterTable.WORDS),
                    address.applyAsLong("embeddings.position_embeddings.weight"),
                    address.applyAsLong("embeddings.token_type_embeddings.weight"), address.applyAsLong("embeddings.LayerNorm.weight"),
                    address.applyAsLong("embeddings.LayerNorm.bias"));
        }
    }

    Embeddings(ParameterBuffers buffers) {
        w = Addresses.of(buffers::weight);
        dw = Addresses.of(buffers::gradient);
        touched = buffers.gradients() == null ? 0 : buffers.gradients().touched().address();
    }

    void forward(Pass pass) {
        Activations a = pass.activations;
        BertConfig c = pass.config;
        DeviceBatch b = pass.batch;
        pass.backend.embeddingsForward(pass.dtype(), a.embeddings.address(), a.embeddingsMean.address(),
                a.embeddingsRstd.address(), w.word, w.position, w.segment, w.gamma, w.beta, b.tokens(), b.positions(),
                b.segments(), pass.eps(), pass.hiddenDropout(), SITE, pass.rng(), pass.dropoutRows(), pass.encoderTokens(), c.hiddenSize(),
                c.vocabSize(), c.maxPositionEmbeddings(), c.typeVocabSize());
    }

    /** From backward.gradient, the gradient of the embeddings' output, adds to the parameters' gradients. */
    void backward(Pass pass) {
        Activations a = pass.activations;
        BertConfig c = pass.config;
        DeviceBatch b = pass.batch;
        pass.backend.embeddingsBackward(pass.dtype(), dw.word, dw.position, dw.segment, dw.gamma, dw.beta, touched,
                a.backward.workspace().address(), a.backward.gradient().address(), a.embeddingsMean.address(),
                a.embeddingsRstd.address(), w.word, w.position, w.segment, w.gamma, b.tokens(), b.positions(), b.segments(),
                b.wordOrder(), b.positionOrder(), pass.hiddenDropout(), SITE, pass.rng(), pass.dropoutRows(), pass.encoderTokens(),
                c.hiddenSize(), c.vocabSize(), c.maxPositionEmbeddings(), c.typeVocabSize());
    }
}
