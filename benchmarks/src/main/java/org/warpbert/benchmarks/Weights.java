package org.warpbert.benchmarks;

import java.nio.FloatBuffer;
import java.util.AbstractMap;
import java.util.AbstractSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import org.warpbert.format.ModelFolder;
import org.warpbert.hub.Hub;

/**
 * A model's weights by Hugging Face name, made or read one at a time as they are asked for: no engine's memory is
 * measured with a second copy of the model on the Java heap.
 */
final class Weights extends AbstractMap<String, float[]> {
    private static final double DEVIATION = 0.02;

    private final Map<String, long[]> shapes;
    private final long seed;
    private final ModelFolder folder; // null: random

    private Weights(Map<String, long[]> shapes, long seed, ModelFolder folder) {
        this.shapes = shapes;
        this.seed = seed;
        this.folder = folder;
    }

    /** Of the job's model: with a classifier of two labels for training. */
    static Weights of(Job job) {
        Map<String, long[]> shapes = new LinkedHashMap<>(job.config().shapes(job.training() ? 2 : 0, false));
        return new Weights(shapes, job.seed(), job.model().equals("bert-base") ? null : ModelFolder.open(Hub.resolve(job.model())));
    }

    Map<String, long[]> shapes() {
        return shapes;
    }

    @Override
    public float[] get(Object name) {
        long[] shape = shapes.get(name);
        float[] values = new float[Math.toIntExact(shape.length == 2 ? shape[0] * shape[1] : shape[0])];
        if (folder != null) {
            folder.tensors().read((String) name, shape, FloatBuffer.wrap(values));
            return values;
        }
        SplittableRandom random = new SplittableRandom(seed ^ name.hashCode());
        double mean = ((String) name).endsWith("LayerNorm.weight") ? 1 : 0;
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (mean + DEVIATION * random.nextGaussian());
        }
        return values;
    }

    @Override
    public Set<Entry<String, float[]>> entrySet() {
        return new AbstractSet<>() {
            @Override
            public Iterator<Entry<String, float[]>> iterator() {
                return shapes.keySet().stream().<Entry<String, float[]>>map(name -> new SimpleImmutableEntry<>(name, get(name))).iterator();
            }

            @Override
            public int size() {
                return shapes.size();
            }
        };
    }
}
