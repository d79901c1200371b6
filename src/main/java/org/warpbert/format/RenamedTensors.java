package org.warpbert.format;

import java.nio.FloatBuffer;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.warpbert.WarpBertException;

/** The tensors of another source under other names, matrices transposed where the file holds them the other way round. */
final class RenamedTensors implements TensorSource {
    private static final int TILE = 64; // a tile of 64 × 64 floats, read and written, stays in the first-level cache

    private record Origin(String name, boolean transposed) {}

    private final TensorSource source;
    private final Map<String, Origin> origins = new LinkedHashMap<>();
    private final Map<String, long[]> shapes = new LinkedHashMap<>();

    RenamedTensors(TensorSource source) {
        this.source = source;
    }

    /** Offers a tensor of the source under a new name; two under one name are an error that names both. */
    void add(String name, String original, boolean transposed) {
        Origin taken = origins.putIfAbsent(name, new Origin(original, transposed));
        if (taken != null)
            throw new WarpBertException("Both " + taken.name + " and " + original + " in " + location() + " would be the tensor " + name + ".");
        long[] shape = source.shape(original);
        if (transposed && shape.length != 2)
            throw new WarpBertException("Tensor " + original + " in " + location() + " should be a matrix, but has " + shape.length + " dimensions.");
        shapes.put(name, transposed ? new long[] {shape[1], shape[0]} : shape);
    }

    /** No longer offers this tensor. */
    void remove(String name) {
        origins.remove(name);
        shapes.remove(name);
    }

    @Override
    public Map<String, long[]> shapes() {
        return Collections.unmodifiableMap(shapes);
    }

    @Override
    public void read(String name, FloatBuffer dst) {
        long[] shape = shape(name); // [out, in] after the transposition
        Origin origin = origins.get(name);
        if (!origin.transposed) {
            source.read(origin.name, dst);
            return;
        }
        int rows = Math.toIntExact(shape[0]);
        int columns = Math.toIntExact(shape[1]);
        float[] stored = new float[Math.multiplyExact(rows, columns)]; // [in, out]
        source.read(origin.name, FloatBuffer.wrap(stored));
        if (dst.remaining() < stored.length)
            throw new WarpBertException("Tensor " + name + " in " + location() + " has " + stored.length + " elements, but the buffer to read it to has room for " + dst.remaining() + ".");
        float[] band = new float[TILE * columns];
        for (int row = 0; row < rows; row += TILE) {
            int height = Math.min(TILE, rows - row);
            for (int column = 0; column < columns; column += TILE) {
                int end = Math.min(column + TILE, columns);
                for (int c = column; c < end; c++)
                    for (int r = 0; r < height; r++) band[r * columns + c] = stored[c * rows + row + r];
            }
            dst.put(band, 0, height * columns);
        }
    }

    @Override
    public String location() {
        return source.location();
    }

    @Override
    public void close() {
        source.close();
    }
}
