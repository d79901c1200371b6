package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.warpbert.backend.Backend;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/** A tiny BERT with any head to train: its loss, and the gradients by hand and by differences. */
public final class HeadTraining implements AutoCloseable {
    private static final long SEED = 12;
    private static final long STEP = 34;

    private final Head head;
    private final Parameters parameters;
    private final Gradients gradients;
    private final BertModel model;

    /** @param largest a batch as large as any to come */
    public HeadTraining(Backend backend, TinyBert tiny, ParameterTable table, Head head, PackedBatch largest) {
        this.head = head;
        parameters = tiny.parameters(backend, table);
        gradients = new Gradients(backend, table);
        model = new BertModel(backend, tiny.config, parameters, gradients, head, Capacity.of(largest));
    }

    /** Gradients of the mean loss of {@code whole} by name, from micro-batches that are its parts. */
    public Map<String, float[]> gradients(PackedBatch whole, PackedBatch... parts) {
        double[] normalisers = head.normalisers(whole);
        float[] scales = new float[normalisers.length];
        for (int k = 0; k < scales.length; k++) {
            scales[k] = (float) (1 / normalisers[k]);
        }
        for (int i = 0; i < parts.length; i++) {
            model.forward(parts[i], SEED, STEP);
            model.backward(scales, i > 0);
        }
        Map<String, float[]> all = new LinkedHashMap<>();
        parameters.shapes().keySet().forEach(name -> all.put(name, gradients.get(name)));
        return all;
    }

    /** The mean loss, with the masks that {@link #gradients} draws. */
    public double loss(PackedBatch batch) {
        model.forward(batch, SEED, STEP);
        model.evaluate();
        return Head.loss(head.lossSums(), head.normalisers(batch));
    }

    /**
     * That the gradient is the loss's central difference, in directions that are the gradient with random halves left out:
     * steep, and no two alike. A step of h = 2e-3 leaves a share of about h^2 and the loss's rounding, 1e-7 / 2h.
     */
    public void checkSlopes(PackedBatch batch, int directions, double tolerance) {
        Map<String, float[]> all = gradients(batch, batch);
        Map<String, float[]> values = new LinkedHashMap<>();
        all.keySet().forEach(name -> values.put(name, parameters.get(name)));
        for (int k = 0; k < directions; k++) {
            SplittableRandom random = new SplittableRandom(k);
            Map<String, float[]> direction = new LinkedHashMap<>();
            all.forEach((name, gradient) -> {
                float[] chosen = gradient.clone();
                for (int i = 0; i < chosen.length; i++) {
                    chosen[i] = random.nextBoolean() ? chosen[i] : 0;
                }
                direction.put(name, chosen);
            });
            double squares = 0;
            for (float[] part : direction.values()) {
                for (float x : part) {
                    squares += (double) x * x;
                }
            }
            double step = 2e-3 / Math.sqrt(squares);
            double slope = (moved(batch, values, direction, step) - moved(batch, values, direction, -step)) / (2 * step);
            assertEquals(squares, slope, tolerance * squares, "direction " + k);
        }
        values.forEach(parameters::set);
    }

    private double moved(PackedBatch batch, Map<String, float[]> values, Map<String, float[]> direction, double step) {
        values.forEach((name, value) -> {
            float[] moved = value.clone();
            for (int i = 0; i < moved.length; i++) {
                moved[i] += (float) (step * direction.get(name)[i]);
            }
            parameters.set(name, moved);
        });
        return loss(batch);
    }

    @Override
    public void close() {
        model.close();
        gradients.close();
        parameters.close();
    }
}
