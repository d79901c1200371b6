package org.warpbert.reference;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * Sizes of a BERT, and the Hugging Face names and shapes of its parameters (canonical, without {@code bert.}).
 *
 * @param activation {@code gelu} (erf), {@code gelu_new} (tanh) or {@code relu}
 */
public record TorchBertConfig(int vocabSize, int hiddenSize, int layers, int heads, int intermediateSize,
                              int maxPositions, int typeVocabSize, double layerNormEps, String activation) {

    /** The sizes of bert-base-uncased. */
    public static TorchBertConfig bertBase() {
        return new TorchBertConfig(30522, 768, 12, 12, 3072, 512, 2, 1e-12, "gelu");
    }

    /**
     * Names and shapes in the order of the model.
     *
     * @param labels rows of {@code classifier.weight}; 0: no classifier
     * @param mlm whether the masked language model's head is there (its decoder is the word embedding)
     */
    public Map<String, long[]> shapes(int labels, boolean mlm) {
        Map<String, long[]> shapes = new LinkedHashMap<>();
        long h = hiddenSize;
        shapes.put("embeddings.word_embeddings.weight", new long[] {vocabSize, h});
        shapes.put("embeddings.position_embeddings.weight", new long[] {maxPositions, h});
        shapes.put("embeddings.token_type_embeddings.weight", new long[] {typeVocabSize, h});
        norm(shapes, "embeddings.LayerNorm");
        for (int i = 0; i < layers; i++) {
            String layer = "encoder.layer." + i;
            for (String part : new String[] {"self.query", "self.key", "self.value", "output.dense"}) {
                dense(shapes, layer + ".attention." + part, h, h);
            }
            norm(shapes, layer + ".attention.output.LayerNorm");
            dense(shapes, layer + ".intermediate.dense", intermediateSize, h);
            dense(shapes, layer + ".output.dense", h, intermediateSize);
            norm(shapes, layer + ".output.LayerNorm");
        }
        dense(shapes, "pooler.dense", h, h);
        if (labels > 0) {
            dense(shapes, "classifier", labels, h);
        }
        if (mlm) {
            dense(shapes, "cls.predictions.transform.dense", h, h);
            norm(shapes, "cls.predictions.transform.LayerNorm");
            shapes.put("cls.predictions.bias", new long[] {vocabSize});
        }
        return shapes;
    }

    /** Names and shapes of the pre-training model: with the masked words' head and that of two texts' relation. */
    public Map<String, long[]> pretrainingShapes() {
        Map<String, long[]> shapes = shapes(0, true);
        dense(shapes, "cls.seq_relationship", 2, hiddenSize);
        return shapes;
    }

    /** Values N(0, std), LayerNorm weights 1 + N(0, std): nothing is zero, so that no gradient is trivially right. */
    public static Map<String, float[]> random(Map<String, long[]> shapes, double std, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        Map<String, float[]> values = new LinkedHashMap<>();
        shapes.forEach((name, shape) -> {
            float[] data = new float[Math.toIntExact(shape.length == 2 ? shape[0] * shape[1] : shape[0])];
            double mean = name.endsWith("LayerNorm.weight") ? 1 : 0;
            for (int i = 0; i < data.length; i++) {
                data[i] = (float) (mean + std * random.nextGaussian());
            }
            values.put(name, data);
        });
        return values;
    }

    private static void dense(Map<String, long[]> shapes, String name, long out, long in) {
        shapes.put(name + ".weight", new long[] {out, in});
        shapes.put(name + ".bias", new long[] {out});
    }

    private void norm(Map<String, long[]> shapes, String name) {
        shapes.put(name + ".weight", new long[] {hiddenSize});
        shapes.put(name + ".bias", new long[] {hiddenSize});
    }
}
