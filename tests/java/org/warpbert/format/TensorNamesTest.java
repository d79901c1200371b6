package org.warpbert.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TensorNamesTest {
    /** Names as they stand in Google's checkpoints and in Hugging Face's conversions of them. */
    @ParameterizedTest
    @CsvSource({
        "bert/embeddings/word_embeddings, embeddings.word_embeddings.weight, bert.embeddings.word_embeddings.weight, false",
        "bert/embeddings/position_embeddings, embeddings.position_embeddings.weight, bert.embeddings.position_embeddings.weight, false",
        "bert/embeddings/token_type_embeddings, embeddings.token_type_embeddings.weight, bert.embeddings.token_type_embeddings.weight, false",
        "bert/embeddings/LayerNorm/gamma, embeddings.LayerNorm.weight, bert.embeddings.LayerNorm.weight, false",
        "bert/embeddings/LayerNorm/beta, embeddings.LayerNorm.bias, bert.embeddings.LayerNorm.bias, false",
        "bert/encoder/layer_11/attention/self/query/kernel, encoder.layer.11.attention.self.query.weight, bert.encoder.layer.11.attention.self.query.weight, true",
        "bert/encoder/layer_0/attention/output/dense/bias, encoder.layer.0.attention.output.dense.bias, bert.encoder.layer.0.attention.output.dense.bias, false",
        "bert/encoder/layer_0/attention/output/LayerNorm/gamma, encoder.layer.0.attention.output.LayerNorm.weight, bert.encoder.layer.0.attention.output.LayerNorm.weight, false",
        "bert/encoder/layer_7/intermediate/dense/kernel, encoder.layer.7.intermediate.dense.weight, bert.encoder.layer.7.intermediate.dense.weight, true",
        "bert/encoder/layer_7/output/LayerNorm/beta, encoder.layer.7.output.LayerNorm.bias, bert.encoder.layer.7.output.LayerNorm.bias, false",
        "bert/pooler/dense/kernel, pooler.dense.weight, bert.pooler.dense.weight, true",
        "cls/predictions/transform/dense/kernel, cls.predictions.transform.dense.weight, cls.predictions.transform.dense.weight, true",
        "cls/predictions/transform/LayerNorm/gamma, cls.predictions.transform.LayerNorm.weight, cls.predictions.transform.LayerNorm.weight, false",
        "cls/predictions/output_bias, cls.predictions.bias, cls.predictions.bias, false",
        "cls/seq_relationship/output_weights, cls.seq_relationship.weight, cls.seq_relationship.weight, false",
        "cls/seq_relationship/output_bias, cls.seq_relationship.bias, cls.seq_relationship.bias, false",
        "cls/squad/output_weights, qa_outputs.weight, qa_outputs.weight, false",
        "output_weights, classifier.weight, classifier.weight, false",
        "output_bias, classifier.bias, classifier.bias, false",
    })
    void everyNameHasItsCanonicalOne(String tensorFlow, String canonical, String huggingFace, boolean transposed) {
        assertEquals(canonical, TensorNames.fromTensorFlow(tensorFlow));
        assertEquals(canonical, TensorNames.fromHuggingFace(huggingFace));
        assertEquals(canonical, TensorNames.fromHuggingFace(canonical));
        assertEquals(huggingFace, TensorNames.toHuggingFace(canonical, true));
        assertEquals(canonical, TensorNames.toHuggingFace(canonical, false));
        assertEquals(transposed, TensorNames.isTransposed(tensorFlow));
    }

    @Test
    void scopesAndOldNamesAreUnderstood() {
        assertEquals("pooler.dense.weight", TensorNames.fromTensorFlow("module/bert/pooler/dense/kernel"));
        assertEquals("cls.predictions.bias", TensorNames.fromTensorFlow("module/cls/predictions/output_bias"));
        assertEquals("embeddings.LayerNorm.weight", TensorNames.fromHuggingFace("bert.embeddings.LayerNorm.gamma"));
        assertEquals("encoder.layer.1.output.LayerNorm.bias", TensorNames.fromHuggingFace("encoder.layer.1.output.LayerNorm.beta"));
        assertEquals("cls.predictions.bias", TensorNames.fromHuggingFace("cls.predictions.decoder.bias"));
        assertEquals("encoder.layer.0.attention.self.query.weight", TensorNames.fromOnnxMatMul("/encoder/layer.0/attention/self/query/MatMul"));
        assertEquals("encoder.layer.0.output.dense.weight", TensorNames.fromOnnxMatMul("/bert/encoder/layer.0/output/dense/MatMul"));
    }

    @Test
    void whatIsNoParameterIsLeftOut() {
        assertNull(TensorNames.fromHuggingFace("bert.embeddings.position_ids"));
        assertNull(TensorNames.fromTensorFlow("global_step"));
        assertNull(TensorNames.fromTensorFlow("bert/pooler/dense/kernel/adam_m"));
        assertNull(TensorNames.fromTensorFlow("bert/pooler/dense/kernel/adam_v"));
    }
}
