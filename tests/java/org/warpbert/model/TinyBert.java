package org.warpbert.model;

import java.lang.reflect.Array;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.reference.TorchBatch;
import org.warpbert.reference.TorchBert;
import org.warpbert.reference.TorchBertConfig;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;

/**
 * A BERT classifier of odd sizes with random weights, here and in libtorch. Weights are large enough for LayerNorm,
 * softmax and activation to be far from linear: N(0, 1.5 / sqrt(H)), gains 1 + that.
 */
public final class TinyBert {
    public static final int VOCABULARY = 53;
    public static final int POSITIONS = 24;
    public final BertConfig config;
    public final int classes;
    private final TorchBertConfig torchConfig;
    private final Map<String, float[]> values;

    public TinyBert(int hidden, int heads, int intermediate, int layers, Activation activation, double dropout, int classes, long seed) {
        config = new BertConfig(VOCABULARY, hidden, layers, heads, intermediate, activation, dropout, dropout, null, POSITIONS, 2,
                1e-12, 0, null, null);
        this.classes = classes;
        torchConfig = new TorchBertConfig(VOCABULARY, hidden, layers, heads, intermediate, POSITIONS, 2, 1e-12, activation.configName());
        values = TorchBertConfig.random(torchConfig.shapes(classes, false), 1.5 / Math.sqrt(hidden), seed);
    }

    /**
     * This one, as a deep one wants it: sublayers add a third of what they would and LayerNorm no constant. Else, from layer to
     * layer, what tokens have in common would drown what they differ in. After twelve layers two tokens' mean cosine is 0.7 to 0.9
     * in place of 0.9 to 0.98, and the gradients of queries and keys are large enough for bfloat16 to be off by only 5% of them.
     */
    public TinyBert forDepth() {
        values.forEach((name, value) -> {
            float factor = name.endsWith("LayerNorm.bias") ? 0 : name.contains("output.dense") ? 0.3f : 1;
            for (int i = 0; i < value.length; i++) {
                value[i] *= factor;
            }
        });
        return this;
    }

    /** Of an array of rows [T, H] those of the sequences' first tokens, [B, H]. */
    <A> A firstRows(PackedBatch batch, A rows) {
        return rows(rows, Arrays.copyOf(batch.cuSeqlens(), batch.sequences()));
    }

    /** Of an array of rows [T, H], floats or doubles, these. */
    <A> A rows(A rows, int[] which) {
        int h = config.hiddenSize();
        @SuppressWarnings("unchecked") A these = (A) Array.newInstance(rows.getClass().getComponentType(), which.length * h);
        for (int n = 0; n < which.length; n++) {
            System.arraycopy(rows, which[n] * h, these, n * h, h);
        }
        return these;
    }

    /** Our copy of the weights; the caller closes it. */
    public Parameters parameters(Backend backend) {
        return parameters(backend, WeightFormat.F32);
    }

    /** As {@link #parameters(Backend)}, kept otherwise. */
    public Parameters parameters(Backend backend, WeightFormat format) {
        Parameters parameters = Parameters.random(backend, ClassificationHead.parameters(config, classes), format, 0);
        if (!parameters.shapes().keySet().equals(values.keySet())) {
            throw new AssertionError("names differ: " + parameters.shapes().keySet() + " and " + values.keySet());
        }
        values.forEach(parameters::set);
        return parameters;
    }

    /** Our copy of those weights that a table has; the caller closes it. */
    public Parameters parameters(Backend backend, ParameterTable table) {
        Parameters parameters = Parameters.random(backend, table, 0);
        parameters.shapes().keySet().forEach(name -> parameters.set(name, values.get(name)));
        return parameters;
    }

    /** The reference in float64, with the same weights. */
    public TorchBert torch() {
        return torch(ScalarType.Double);
    }

    /** The same in another type. */
    public TorchBert torch(ScalarType dtype) {
        return new TorchBert(torchConfig, values, torchConfig.shapes(classes, false), dtype);
    }

    /** Random tokens in two segments. */
    public static List<Encoded> sequences(long seed, int... lengths) {
        SplittableRandom random = new SplittableRandom(seed);
        List<Encoded> sequences = new ArrayList<>();
        for (int length : lengths) {
            byte[] segments = new byte[length];
            Arrays.fill(segments, length / 2, length, (byte) 1);
            sequences.add(new Encoded(random.ints(length, 0, VOCABULARY).toArray(), segments, false));
        }
        return sequences;
    }

    /** The same sequences for the reference. */
    public static TorchBatch batch(List<Encoded> sequences) {
        return TorchBatch.of(sequences.stream().map(Encoded::tokens).toArray(int[][]::new),
                sequences.stream().map(s -> IntStream.range(0, s.length()).map(i -> s.segments()[i]).toArray()).toArray(int[][]::new));
    }

    public int[] labels(long seed, int count) {
        return new SplittableRandom(seed).ints(count, 0, classes).toArray();
    }

    /** ‖actual - expected‖ / ‖expected‖. */
    public static double error(double[] expected, float[] actual) {
        return error(expected, actual, norm(expected));
    }

    /** ‖actual - expected‖ / size. */
    public static double error(double[] expected, float[] actual, double size) {
        double[] difference = new double[expected.length];
        Arrays.setAll(difference, i -> actual[i] - expected[i]);
        return norm(difference) / size;
    }

    public static double norm(double[] values) {
        return Math.sqrt(Arrays.stream(values).map(x -> x * x).sum());
    }
}
