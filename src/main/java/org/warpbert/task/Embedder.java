package org.warpbert.task;

import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.warpbert.model.Head;
import org.warpbert.model.OutputRows;
import org.warpbert.model.ParameterTable;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;

/**
 * Texts as vectors, read off the encoder. Calls from several threads take turns, for each uses the whole device;
 * small ones that wait are computed in one batch.
 */
public final class Embedder implements AutoCloseable {
    /** What of a sequence becomes its vector. */
    public enum Pooling {
        /** The last hidden state of [CLS]. */
        CLS,
        /** The mean of the last hidden states of all tokens, special ones included (Reimers and Gurevych 2019). */
        MEAN,
        /** BERT's pooler: tanh of a dense layer on [CLS]. */
        POOLER
    }

    final OpenModel model;
    private final Inference<Head> inference;
    private final SharedBatches<float[]> answers;
    private final PooledHead pooled; // or null
    private final Pooling pooling;

    private Embedder(OpenModel model, Pooling pooling) {
        this.pooling = pooling;
        pooled = pooling == Pooling.POOLER ? new PooledHead() : null;
        this.model = model;
        inference = new Inference<>(model, switch (pooling) {
            case CLS -> Head.none(OutputRows.FIRST);
            case MEAN -> Head.NONE;
            case POOLER -> pooled;
        });
        answers = new SharedBatches<>(model, inference, (pass, batch) -> {
            float[] states = pooled == null ? pass.lastHiddenState() : pooled.pooled();
            return b -> vector(states, batch, b);
        });
    }

    /** {@link #load(String, Pooling, Compute, Consumer)}, where nobody hears of refused memory. */
    public static Embedder load(String model, Pooling pooling, Compute compute) {
        return load(model, pooling, compute, line -> {});
    }

    /**
     * Opens a model's encoder, and its pooler where {@code pooling} is that.
     *
     * @param note receives a line where memory was refused
     */
    public static Embedder load(String model, Pooling pooling, Compute compute, Consumer<String> note) {
        Objects.requireNonNull(pooling, "pooling");
        return new Embedder(OpenModel.load(model, compute, note, checkpoint -> {
            ParameterTable.Builder table = ParameterTable.bert(checkpoint.config());
            return (pooling == Pooling.POOLER ? table.pooler() : table).build();
        }, "pooler"), pooling);
    }

    /** Length of a vector, H. */
    public int size() {
        return model.config().hiddenSize();
    }

    /** The longest sequence that the model has positions for. */
    public int positions() {
        return model.config().maxPositionEmbeddings();
    }

    /** One vector of {@link #size} for each text, of length 1 where {@code normalize}. */
    public float[][] embed(List<String> texts, boolean normalize) {
        return embed(texts, null, normalize, Math.min(TextClassifier.MAX_LENGTH, positions()), TextClassifier.BATCH_SIZE);
    }

    /**
     * One vector of {@link #size} for each text or pair of texts.
     *
     * @param pairs     second texts, as many as texts, or null
     * @param normalize whether vectors are scaled to length 1
     * @param maxLength most tokens of a sequence, its special ones included, 3 to {@link #positions}; what is longer is cut
     * @param batchSize most texts computed at a time, at least 1: more take more memory
     */
    public float[][] embed(List<String> texts, List<String> pairs, boolean normalize, int maxLength, int batchSize) {
        List<float[]> vectors = answers.to(texts, pairs, maxLength, batchSize);
        return vectors.stream().map(vector -> normalize ? normalized(vector) : vector).toArray(float[][]::new);
    }

    /**
     * The hidden states of every layer, and the attention probabilities where wanted, of one text or pair.
     *
     * @param pair      the second text, or null
     * @param maxLength most tokens of the sequence; what is longer is cut
     */
    public Inspection inspect(String text, String pair, boolean attentions, int maxLength) {
        return model.inTurn(maxLength, () -> {
            Inference.requireAll("text", Collections.singletonList(text));
            Encoded sequence = model.tokenizer().encode(text, pair, maxLength);
            model.count(1, sequence.truncated() ? 1 : 0, Inference.cutTo(maxLength));
            inference.release(); // the sequence needs a model that looks on
            return Inspection.of(model, sequence, attentions);
        });
    }

    /** Encoder layers of the model, L. */
    public int layers() {
        return model.config().numHiddenLayers();
    }

    private float[] vector(float[] states, PackedBatch batch, int sequence) {
        int from = pooling == Pooling.MEAN ? batch.cuSeqlens()[sequence] : sequence;
        int to = pooling == Pooling.MEAN ? batch.cuSeqlens()[sequence + 1] : from + 1;
        double[] sum = new double[size()];
        for (int row = from; row < to; row++) {
            for (int h = 0; h < size(); h++) {
                sum[h] += states[row * size() + h];
            }
        }
        float[] vector = new float[size()];
        for (int h = 0; h < size(); h++) {
            vector[h] = Evaluation.number((float) (sum[h] / (to - from)));
        }
        return vector;
    }

    private static float[] normalized(float[] vector) {
        double squares = 0;
        for (float x : vector) {
            squares += (double) x * x;
        }
        double scale = squares == 0 ? 0 : 1 / Math.sqrt(squares);
        float[] result = new float[vector.length];
        for (int i = 0; i < vector.length; i++) {
            result[i] = (float) (vector[i] * scale);
        }
        return result;
    }

    /** Waits for a call that is under way. */
    @Override
    public void close() {
        model.close();
    }
}
