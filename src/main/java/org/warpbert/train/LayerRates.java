package org.warpbert.train;

import org.warpbert.WarpBertException;
import org.warpbert.model.BertConfig;
import org.warpbert.model.ParameterTable;

/**
 * How the learning rate differs by depth. Levels, from below: the embeddings, the layers, and what stands on the encoder.
 *
 * @param freezeEmbeddings whether the embeddings stay as they are
 * @param freezeLayers     so many layers, from the first on, stay as they are, and the embeddings below them
 * @param decay            rate of a level over that of the level above; what stands on the encoder has the full rate
 */
public record LayerRates(boolean freezeEmbeddings, int freezeLayers, double decay) {
    /** The same rate for all. */
    public static final LayerRates EQUAL = new LayerRates(false, 0, 1);

    public LayerRates {
        if (freezeLayers < 0) {
            throw new WarpBertException("the number of frozen layers (--freeze-layers) is " + freezeLayers + ", it must be at least 0");
        }
        if (!(decay > 0 && decay <= 1)) {
            throw new WarpBertException("the layer decay (--layer-decay) is " + decay + ", it must be in (0, 1]");
        }
    }

    /** Checks that the model has so many layers. */
    public void check(BertConfig config) {
        if (freezeLayers > config.numHiddenLayers()) {
            throw new WarpBertException("the number of frozen layers (--freeze-layers) is " + freezeLayers + ", more than the model's " + config.numHiddenLayers() + " layers");
        }
    }

    /** Levels that stay as they are: 0 none, 1 the embeddings, 1 + n also the first n layers. */
    public int frozenLevels() {
        return freezeLayers > 0 ? 1 + freezeLayers : freezeEmbeddings ? 1 : 0;
    }

    /** Factor of a parameter's learning rate, in a model of so many layers; 0: it stays as it is. */
    float scale(ParameterTable.Slice parameter, int layers) {
        int level = Math.min(parameter.level(), layers + 1);
        return level < frozenLevels() ? 0 : (float) Math.pow(decay, layers + 1 - level);
    }
}
