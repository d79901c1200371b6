package org.warpbert.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.RecordComponent;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.warpbert.WarpBertException;

class HyperparametersTest {
    private static final Map<Class<?>, Object> OTHER = Map.of(int.class, 7, long.class, 7L, double.class, 7.0, Double.class, 0.7, boolean.class, false,
            Schedule.class, Schedule.CONSTANT, LayerRates.class, new LayerRates(false, 2, 0.9), Selection.class, new Selection(null, 3, true));

    /** Each value by itself: it changes, and nothing else does. */
    @Test
    void changesWhatItIsToldAndNothingElse() throws ReflectiveOperationException {
        assertEquals(Hyperparameters.DEFAULT, Hyperparameters.DEFAULT.with(h -> {}));
        for (RecordComponent changed : Hyperparameters.class.getRecordComponents()) {
            Hyperparameters result = Hyperparameters.DEFAULT.with(h -> {
                try {
                    Hyperparameters.Values.class.getField(changed.getName()).set(h, OTHER.get(changed.getType()));
                } catch (ReflectiveOperationException e) {
                    throw new AssertionError(e);
                }
            });
            for (RecordComponent component : Hyperparameters.class.getRecordComponents()) {
                Object expected = component.getName().equals(changed.getName()) ? OTHER.get(changed.getType()) : component.getAccessor().invoke(Hyperparameters.DEFAULT);
                assertEquals(expected, component.getAccessor().invoke(result), changed.getName() + " changed, " + component.getName());
            }
        }
    }

    @Test
    void stepsMayEndARunBeforeItsEpochs() {
        Hyperparameters many = Hyperparameters.DEFAULT.with(h -> h.epochs = 2_000_000_000);
        assertEquals(2_000_000_000, many.epochsBegun(11));
        assertEquals(1, many.with(h -> h.steps = 1).epochsBegun(11));
        assertEquals(1, many.with(h -> h.steps = 11).epochsBegun(11));
        assertEquals(2, many.with(h -> h.steps = 12).epochsBegun(11));
        assertEquals(4, Hyperparameters.DEFAULT.with(h -> h.steps = 1000).epochsBegun(11));
    }

    @Test
    void badValuesAreErrorsHereToo() {
        String message = assertThrows(WarpBertException.class, () -> Hyperparameters.DEFAULT.with(h -> h.epochs = 0)).getMessage();
        assertTrue(message.contains("(--epochs) is 0"), message);
    }
}
