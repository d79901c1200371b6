package org.warpbert.task;

import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.warpbert.backend.Backend;
import org.warpbert.memory.Arena;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.Parameters;
import org.warpbert.model.PlannedModel;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;

/**
 * What goes on inside a model on its way through one sequence of n tokens.
 *
 * @param tokens       the sequence, special tokens included
 * @param hiddenStates [L + 1][n][H]: of the embeddings, then of every encoder layer
 * @param attentions   [L][A][n][n]: how much of each token's attention (third index) goes to each token; null where not asked for
 */
public record Inspection(List<String> tokens, float[][][] hiddenStates, float[][][][] attentions) {

    /**
     * Runs one sequence. The fused attention never has its probabilities in memory: they are worked out again on the host, in
     * double, from the queries and keys of each layer.
     */
    static Inspection of(OpenModel opened, Encoded sequence, boolean attentions) {
        return of(opened.backend(), opened.config(), opened.parameters(), sequence, attentions, opened.note(),
                Arrays.stream(sequence.tokens()).mapToObj(opened.tokenizer()::token).toList());
    }

    static Inspection of(Backend backend, BertConfig config, Parameters parameters, Encoded sequence, boolean attentions, Consumer<String> note,
            List<String> tokens) {
        PackedBatch batch = PackedBatch.of(List.of(sequence), null);
        int n = sequence.length();
        int layers = config.numHiddenLayers();
        float[][][] states = new float[layers + 1][][];
        float[][][][] probabilities = attentions ? new float[layers][][][] : null;
        try (PlannedModel model = PlannedModel.inference(backend, config, parameters, Head.NONE, BatchSizes.of(batch), note)) {
            model.observe((layer, output, qkv) -> {
                states[layer] = rows(output, n, config.hiddenSize());
                if (attentions && layer > 0) {
                    probabilities[layer - 1] = probabilities(rows(qkv, n, 3 * config.hiddenSize()), config);
                }
            });
            model.infer(batch, false, (pass, part) -> {});
        }
        return new Inspection(tokens, states, probabilities);
    }

    private static float[][] rows(Arena.Tensor tensor, int rows, int width) {
        float[] all = tensor.downloadFloats(rows * width);
        float[][] cut = new float[rows][];
        Arrays.setAll(cut, row -> Arrays.copyOfRange(all, row * width, (row + 1) * width));
        return cut;
    }

    /** softmax(q k^T / sqrt(D)) of each head, [A][n][n], from rows of q of all heads, then k, then v. */
    private static float[][][] probabilities(float[][] qkv, BertConfig config) {
        int n = qkv.length;
        int size = config.headSize();
        float[][][] result = new float[config.numAttentionHeads()][n][];
        for (int head = 0; head < result.length; head++) {
            for (int query = 0; query < n; query++) {
                double[] scores = new double[n];
                for (int key = 0; key < n; key++) {
                    for (int d = head * size; d < (head + 1) * size; d++) {
                        scores[key] += (double) qkv[query][d] * qkv[key][config.hiddenSize() + d];
                    }
                    scores[key] /= Math.sqrt(size);
                }
                double max = Arrays.stream(scores).max().orElseThrow();
                double sum = Arrays.stream(scores).map(score -> Math.exp(score - max)).sum();
                float[] row = new float[n];
                for (int key = 0; key < n; key++) {
                    row[key] = (float) (Math.exp(scores[key] - max) / sum);
                }
                result[head][query] = row;
            }
        }
        return result;
    }
}
