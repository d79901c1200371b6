package org.warpbert.model;

/** Word + position + segment embeddings, LayerNorm, dropout (Devlin et al. 2019, section 3 and figure 2). */
final class Embeddings {
    private static final int SITE = 0;

    private final long word;
    private final long position;
    private final long segment;
    private final long gamma;
    private final long beta;

    Embeddings(ParameterTable table, long base) {
        word = table.address(base, "embeddings.word_embeddings.weight");
        position = table.address(base, "embeddings.position_embeddings.weight");
        segment = table.address(base, "embeddings.token_type_embeddings.weight");
        gamma = table.address(base, "embeddings.LayerNorm.weight");
        beta = table.address(base, "embeddings.LayerNorm.bias");
    }

    void forward(Pass pass) {
        Activations a = pass.activations;
        BertConfig c = pass.config;
        DeviceBatch b = pass.batch;
        pass.backend.embeddingsForward(pass.dtype, a.embeddings.address(), a.embeddingsMean.address(),
                a.embeddingsRstd.address(), word, position, segment, gamma, beta, b.tokens(), b.positions(),
                b.segments(), pass.eps(), pass.hiddenDropout(), SITE, pass.dropout(), pass.tokens(), c.hiddenSize(),
                c.vocabSize(), c.maxPositionEmbeddings(), c.typeVocabSize());
    }

    /** From backward.gradient, the gradient of the embeddings' output, adds to the gradients of {@code into}. */
    void backward(Pass pass, Embeddings into) {
        Activations a = pass.activations;
        BertConfig c = pass.config;
        DeviceBatch b = pass.batch;
        pass.backend.embeddingsBackward(pass.dtype, into.word, into.position, into.segment, into.gamma, into.beta,
                a.backward.workspace().address(), a.backward.gradient().address(), a.embeddingsMean.address(),
                a.embeddingsRstd.address(), word, position, segment, gamma, b.tokens(), b.positions(), b.segments(),
                b.wordOrder(), b.positionOrder(), pass.hiddenDropout(), SITE, pass.dropout(), pass.tokens(),
                c.hiddenSize(), c.vocabSize(), c.maxPositionEmbeddings(), c.typeVocabSize());
    }
}
