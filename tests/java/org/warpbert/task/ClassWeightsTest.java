package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.warpbert.WarpBertException;
import org.warpbert.text.LabelMap;

class ClassWeightsTest {
    private static final LabelMap LABELS = LabelMap.of(List.of("bad", "good", "a=b"));
    private static final Path FILE = Path.of("train.tsv");

    /** n / (C n_c): every class has the same sum of weights, and all together n. */
    @Test
    void balanced() {
        assertArrayEquals(new float[] {12 / 3f / 6, 12 / 3f / 2, 12 / 3f / 4},
                ClassWeights.parse("balanced").of(LABELS, new int[] {0, 0, 0, 1, 2, 2, 0, 0, 2, 2, 1, 0}, FILE), 1e-7f);
        WarpBertException missing = assertThrows(WarpBertException.class, () -> ClassWeights.BALANCED.of(LABELS, new int[] {0, 2}, FILE));
        assertTrue(missing.getMessage().contains("train.tsv") && missing.getMessage().contains("'good'"), missing.getMessage());
    }

    @Test
    void namedOnesAndTheRest() {
        assertEquals(Map.of("good", 2.5, "a=b", 1e-3), ClassWeights.parse("good=2.5, a=b=1e-3").named());
        assertArrayEquals(new float[] {1, 2.5f, 1e-3f}, ClassWeights.parse("good=2.5, a=b=1e-3").of(LABELS, new int[0], FILE));
        WarpBertException unknown = assertThrows(WarpBertException.class, () -> ClassWeights.parse("goood=2,bad=1").of(LABELS, new int[0], FILE));
        assertTrue(unknown.getMessage().contains("'goood'") && unknown.getMessage().contains("bad, good, a=b"), unknown.getMessage());
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "good", "=2", "good=", "good=much", "good=1,good=2", "good=0", "good=-1", "good=NaN", "good=1e40", "Balanced"})
    void whatIsNoWeight(String text) {
        WarpBertException e = assertThrows(WarpBertException.class, () -> ClassWeights.parse(text));
        assertTrue(e.getMessage().contains("weight"), e.getMessage());
    }
}
