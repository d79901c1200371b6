package org.warpbert.reference;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;

/**
 * Ragged sequences, padded here to {@code [B, S]} with a key mask. Packed row t of the tests' world is the
 * t-th real token, sequence after sequence.
 *
 * @param paddedLength S; at least the longest sequence
 * @param visible which tokens are real and may be attended to, the shape of {@code tokens}; null: all of them
 */
public record TorchBatch(int[][] tokens, int[][] segments, int[][] positions, int paddedLength, boolean[][] visible) {

    public TorchBatch {
        for (int b = 0; b < tokens.length; b++) {
            int length = tokens[b].length;
            if (length == 0 || length > paddedLength || segments[b].length != length || positions[b].length != length) {
                throw new IllegalArgumentException("sequence " + b + ": " + length + " tokens, " + segments[b].length
                        + " segments, " + positions[b].length + " positions, padded to " + paddedLength);
            }
        }
    }

    /** Without holes: every token given is real. */
    public TorchBatch(int[][] tokens, int[][] segments, int[][] positions, int paddedLength) {
        this(tokens, segments, positions, paddedLength, null);
    }

    /** Segment 0 everywhere, positions 0, 1, 2, ..., padded to the longest. */
    public static TorchBatch of(int[][] tokens) {
        return of(tokens, Arrays.stream(tokens).map(t -> new int[t.length]).toArray(int[][]::new));
    }

    /** Positions 0, 1, 2, ..., padded to the longest. */
    public static TorchBatch of(int[][] tokens, int[][] segments) {
        int[][] positions = Arrays.stream(tokens).map(t -> range(t.length)).toArray(int[][]::new);
        return new TorchBatch(tokens, segments, positions, Arrays.stream(tokens).mapToInt(t -> t.length).max().orElse(0));
    }

    /** The same sequences padded to {@code length}. */
    public TorchBatch paddedTo(int length) {
        return new TorchBatch(tokens, segments, positions, length, visible);
    }

    public int size() {
        return tokens.length;
    }

    /** T, the number of real tokens. */
    public int realTokens() {
        return packedRows().length;
    }

    /** {@code [B, S]} int64, zeros where padded. */
    Tensor pad(int[][] values) {
        int[] padded = new int[values.length * paddedLength];
        for (int b = 0; b < values.length; b++) {
            System.arraycopy(values[b], 0, padded, b * paddedLength, values[b].length);
        }
        return TorchTensors.of(padded, values.length, paddedLength);
    }

    /** {@code [B, 1, 1, S]} bool, true where a key is real. */
    Tensor keyMask() {
        boolean[] real = new boolean[tokens.length * paddedLength];
        for (int row : packedRows()) {
            real[row] = true;
        }
        return TorchTensors.of(real, tokens.length, 1, 1, paddedLength);
    }

    /** For each packed row its row in the padded {@code [B * S, H]}. */
    int[] packedRows() {
        return IntStream.range(0, tokens.length).flatMap(b -> IntStream.range(0, tokens[b].length)
                .filter(i -> visible == null || visible[b][i]).map(i -> b * paddedLength + i)).toArray();
    }

    private static int[] range(int length) {
        int[] values = new int[length];
        Arrays.setAll(values, i -> i);
        return values;
    }
}
