package org.warpbert.format;

import org.warpbert.model.BertConfig;
import org.warpbert.backend.Activation;

/** A configuration for weights that come without one: the tensors' shapes hold all sizes but the number of heads. */
final class ConfigFromShapes {
    private ConfigFromShapes() {}

    /** V, H, L, I, P and segments from canonical shapes; dropout as BERT was trained with, 0.1. */
    static BertConfig derive(TensorSource tensors, int heads, Activation activation, double epsilon) {
        long[] words = tensors.shape("embeddings.word_embeddings.weight"); // [V, H]
        int layers = 0;
        while (tensors.contains("encoder.layer." + layers + ".attention.self.query.weight")) layers++;
        long[] intermediate = tensors.shape("encoder.layer.0.intermediate.dense.weight"); // [I, H]
        return new BertConfig((int) words[0], (int) words[1], layers, heads, (int) intermediate[0], activation, 0.1, 0.1, null,
                (int) tensors.shape("embeddings.position_embeddings.weight")[0],
                (int) tensors.shape("embeddings.token_type_embeddings.weight")[0], epsilon, 0, null, null);
    }
}
