package org.warpbert.model;

import java.util.function.ToLongFunction;

/**
 * Where one encoder layer's parameters (or their gradients) stand, as byte addresses: looked up once, so that a step
 * looks nothing up by name. H hidden size, I intermediate size.
 *
 * @param qkvWeight       [3H, H], query over key over value
 * @param qkvBias         [3H], which the product adds
 * @param attentionWeight [H, H], attention.output.dense
 * @param attentionBias   [H]
 * @param attentionGamma  [H], attention.output.LayerNorm
 * @param attentionBeta   [H]
 * @param upWeight        [I, H], intermediate.dense
 * @param upBias          [I], which the product adds in 16 bits
 * @param downWeight      [H, I], output.dense
 * @param downBias        [H]
 * @param outputGamma     [H], output.LayerNorm
 * @param outputBeta      [H]
 * @param packed          whether the matrices are as {@link org.warpbert.backend.Gemm#pack} left them
 */
record LayerAddresses(long qkvWeight, long qkvBias, long attentionWeight, long attentionBias, long attentionGamma,
                      long attentionBeta, long upWeight, long upBias, long downWeight, long downBias, long outputGamma,
                      long outputBeta, boolean packed) {

    /** Of layer {@code layer}'s weights. */
    static LayerAddresses weights(ParameterBuffers buffers, int layer) {
        return of(buffers::operand, buffers::weight, layer, buffers.packed());
    }

    /** Of their gradients. */
    static LayerAddresses gradients(ParameterBuffers buffers, int layer) {
        return of(buffers::gradient, buffers::gradient, layer, false);
    }

    private static LayerAddresses of(ToLongFunction<String> operand, ToLongFunction<String> vector, int layer, boolean packed) {
        String p = "encoder.layer." + layer + ".";
        return new LayerAddresses(
                operand.applyAsLong(p + "attention.self.query.weight"), operand.applyAsLong(p + "attention.self.query.bias"),
                operand.applyAsLong(p + "attention.output.dense.weight"), vector.applyAsLong(p + "attention.output.dense.bias"),
                vector.applyAsLong(p + "attention.output.LayerNorm.weight"), vector.applyAsLong(p + "attention.output.LayerNorm.bias"),
                operand.applyAsLong(p + "intermediate.dense.weight"), operand.applyAsLong(p + "intermediate.dense.bias"),
                operand.applyAsLong(p + "output.dense.weight"), vector.applyAsLong(p + "output.dense.bias"),
                vector.applyAsLong(p + "output.LayerNorm.weight"), vector.applyAsLong(p + "output.LayerNorm.bias"),
                packed);
    }
}
