package org.warpbert.model;

/**
 * Where one encoder layer's parameters (or their gradients) stand, as byte addresses: looked up once, so that a step
 * looks nothing up by name. H hidden size, I intermediate size.
 *
 * @param qkvWeight       [3H, H], query over key over value
 * @param qkvBias         [3H]
 * @param attentionWeight [H, H], attention.output.dense
 * @param attentionBias   [H]
 * @param attentionGamma  [H], attention.output.LayerNorm
 * @param attentionBeta   [H]
 * @param upWeight        [I, H], intermediate.dense
 * @param upBias          [I]
 * @param downWeight      [H, I], output.dense
 * @param downBias        [H]
 * @param outputGamma     [H], output.LayerNorm
 * @param outputBeta      [H]
 */
record LayerAddresses(long qkvWeight, long qkvBias, long attentionWeight, long attentionBias, long attentionGamma,
                      long attentionBeta, long upWeight, long upBias, long downWeight, long downBias, long outputGamma,
                      long outputBeta) {

    static LayerAddresses of(ParameterTable table, long base, int layer) {
        String p = "encoder.layer." + layer + ".";
        return new LayerAddresses(
                table.address(base, p + "attention.self.query.weight"), table.address(base, p + "attention.self.query.bias"),
                table.address(base, p + "attention.output.dense.weight"), table.address(base, p + "attention.output.dense.bias"),
                table.address(base, p + "attention.output.LayerNorm.weight"), table.address(base, p + "attention.output.LayerNorm.bias"),
                table.address(base, p + "intermediate.dense.weight"), table.address(base, p + "intermediate.dense.bias"),
                table.address(base, p + "output.dense.weight"), table.address(base, p + "output.dense.bias"),
                table.address(base, p + "output.LayerNorm.weight"), table.address(base, p + "output.LayerNorm.bias"));
    }

    static LayerAddresses[] of(ParameterTable table, long base, BertConfig config) {
        LayerAddresses[] layers = new LayerAddresses[config.numHiddenLayers()];
        for (int l = 0; l < layers.length; l++) {
            layers[l] = of(table, base, l);
        }
        return layers;
    }
}
