package org.warpbert.reference;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/**
 * all-MiniLM-L6-v2 (6 layers, hidden size 384, 12 heads of 32) on ONNX Runtime: the graph as published, padded
 * with an attention mask. Inputs {@code input_ids}, {@code attention_mask}, {@code token_type_ids} [B, S] int64;
 * outputs {@code output_0} (last hidden state, [B, S, 384]) and {@code 882} (pooler, [B, 384]).
 */
public final class OnnxMiniLm implements AutoCloseable {
    public static final int HIDDEN_SIZE = 384;
    private static final long STACK_BYTES = 64L << 20;

    /** {@code lastHidden} of the real tokens, packed, [T, 384] row-major; {@code pooled} [B, 384]. */
    public record Outputs(float[] lastHidden, float[] pooled) {}

    private final OrtEnvironment environment;
    private final OrtSession session;

    /** Opens the model; its jar is fetched on first use. */
    public OnnxMiniLm() {
        // OrtEnvironment's creation recurses with the length of the JVM's command line: in 1.29.0 some 6 kB of
        // class path overflow a 1 MB stack, and the process dies without a word. So it gets a deep stack.
        FutureTask<OrtSession> creation = new FutureTask<>(() ->
                OrtEnvironment.getEnvironment().createSession(MiniLmJar.read(MiniLmJar.ONNX)));
        new Thread(null, creation, "onnx-session", STACK_BYTES).start();
        try {
            session = creation.get();
            environment = OrtEnvironment.getEnvironment();
        } catch (ExecutionException e) {
            throw e.getCause() instanceof RuntimeException unchecked ? unchecked
                    : new IllegalStateException("ONNX Runtime did not open " + MiniLmJar.ONNX, e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while opening " + MiniLmJar.ONNX, e);
        }
    }

    /**
     * @param tokens one array of ids per sequence, with [CLS] and [SEP]
     * @param segments the same lengths
     * @param paddedLength S, at least the longest sequence
     */
    public Outputs run(int[][] tokens, int[][] segments, int paddedLength) throws OrtException {
        long[][] mask = new long[tokens.length][paddedLength];
        for (int b = 0; b < tokens.length; b++) {
            Arrays.fill(mask[b], 0, tokens[b].length, 1);
        }
        try (OnnxTensor ids = OnnxTensor.createTensor(environment, padded(tokens, paddedLength));
                OnnxTensor types = OnnxTensor.createTensor(environment, padded(segments, paddedLength));
                OnnxTensor attention = OnnxTensor.createTensor(environment, mask);
                OrtSession.Result result = session.run(
                        Map.of("input_ids", ids, "token_type_ids", types, "attention_mask", attention))) {
            float[][][] hidden = (float[][][]) result.get("output_0").orElseThrow().getValue();
            float[][] pooled = (float[][]) result.get("882").orElseThrow().getValue();
            float[] packed = new float[Arrays.stream(tokens).mapToInt(t -> t.length).sum() * HIDDEN_SIZE];
            int t = 0;
            for (int b = 0; b < tokens.length; b++) {
                for (int s = 0; s < tokens[b].length; s++) {
                    System.arraycopy(hidden[b][s], 0, packed, HIDDEN_SIZE * t++, HIDDEN_SIZE);
                }
            }
            float[] flat = new float[pooled.length * HIDDEN_SIZE];
            for (int b = 0; b < pooled.length; b++) {
                System.arraycopy(pooled[b], 0, flat, HIDDEN_SIZE * b, HIDDEN_SIZE);
            }
            return new Outputs(packed, flat);
        }
    }

    /** {@link #run(int[][], int[][], int)} with segment 0, padded to the longest. */
    public Outputs run(int[][] tokens) throws OrtException {
        int[][] segments = Arrays.stream(tokens).map(t -> new int[t.length]).toArray(int[][]::new);
        return run(tokens, segments, Arrays.stream(tokens).mapToInt(t -> t.length).max().orElse(0));
    }

    @Override
    public void close() throws OrtException {
        session.close();
    }

    private static long[][] padded(int[][] values, int length) {
        long[][] result = new long[values.length][length];
        for (int b = 0; b < values.length; b++) {
            for (int s = 0; s < values[b].length; s++) {
                result[b][s] = values[b][s];
            }
        }
        return result;
    }
}
