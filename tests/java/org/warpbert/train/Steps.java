package org.warpbert.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import org.warpbert.backend.Backend;
import org.warpbert.model.Parameters;
import org.warpbert.text.PackedBatch;

/**
 * What a run of steps did.
 *
 * @param weights all parameters after the last, by name
 */
record Steps(List<Trainer.Result> results, Map<String, float[]> weights) {
    /** Takes steps, each of which is waited for. */
    static Steps taken(Trainer trainer, Parameters parameters, int steps, IntFunction<PackedBatch> batches) {
        List<Trainer.Result> results = new ArrayList<>();
        for (int step = 0; step < steps; step++) {
            double loss = trainer.step(batches.apply(step));
            results.add(trainer.result());
            assertEquals(loss, results.get(step).loss());
        }
        assertFalse(trainer.finish(), "all was told");
        return of(results, parameters);
    }

    /** Takes steps, each of which is asked for before the last is read, where the backend works on its own. */
    static Steps submitted(Backend backend, Trainer trainer, Parameters parameters, int steps, IntFunction<PackedBatch> batches) {
        List<Trainer.Result> results = new ArrayList<>();
        for (int step = 0; step < steps; step++) {
            boolean news = trainer.submit(batches.apply(step));
            assertEquals(step > 0 || !backend.asynchronous(), news, "the first alone has none before it");
            if (news) {
                results.add(trainer.result());
            }
        }
        assertEquals(backend.asynchronous(), trainer.finish());
        if (backend.asynchronous()) {
            results.add(trainer.result());
        }
        assertFalse(trainer.finish(), "all was told");
        return of(results, parameters);
    }

    private static Steps of(List<Trainer.Result> results, Parameters parameters) {
        Map<String, float[]> weights = new LinkedHashMap<>();
        parameters.shapes().keySet().forEach(name -> weights.put(name, parameters.get(name)));
        return new Steps(results, weights);
    }

    /** Fails where another's are not these, to the bit. */
    void assertSame(Steps actual) {
        assertEquals(results, actual.results);
        assertEquals(weights.keySet(), actual.weights.keySet());
        weights.forEach((name, values) -> assertArrayEquals(values, actual.weights.get(name), name));
    }
}
