package org.warpbert.format;

import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The tensors of a model with a longer vocabulary: the word embeddings, and the bias of the masked words' decoder, have new rows
 * at the end, each the mean of the old ones.
 */
public final class GrownTensors implements TensorSource {
    private final TensorSource source;
    private final Map<String, long[]> shapes = new LinkedHashMap<>();

    /** @param vocabulary rows that there are to be, no fewer than there are */
    public GrownTensors(TensorSource source, int vocabulary) {
        this.source = source;
        source.shapes().forEach((name, shape) -> {
            long[] grown = shape.clone();
            grown[0] = growing(name) ? vocabulary : grown[0];
            shapes.put(name, grown);
        });
    }

    private static boolean growing(String name) {
        return name.equals(ModelFolder.WORDS) || name.equals("cls.predictions.bias");
    }

    @Override
    public Map<String, long[]> shapes() {
        return shapes;
    }

    @Override
    public void read(String name, FloatBuffer dst) {
        int start = dst.position();
        source.read(name, dst);
        if (!growing(name)) return;
        long[] old = source.shape(name);
        int rows = Math.toIntExact(old[0]);
        int width = Math.toIntExact(TensorSource.elements(old) / rows);
        double[] sums = new double[width];
        for (int i = 0; i < rows * width; i++) sums[i % width] += dst.get(start + i);
        float[] mean = new float[width];
        for (int column = 0; column < width; column++) mean[column] = (float) (sums[column] / rows);
        for (long row = rows; row < shapes.get(name)[0]; row++) dst.put(mean);
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
