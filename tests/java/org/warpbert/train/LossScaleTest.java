package org.warpbert.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Dtype;

class LossScaleTest {
    @Test
    void halvesOnOverflowAndDoublesAfterTwoThousandGoodSteps() {
        LossScale scale = LossScale.of(Dtype.F16);
        assertEquals(65_536, scale.value());
        scale.update(false, 1);
        assertEquals(32_768, scale.value());
        for (int step = 2; step < 2_001; step++) {
            scale.update(true, step);
        }
        assertEquals(32_768, scale.value(), "1,999 good steps");
        scale.update(false, 2_001); // and they count from here
        assertEquals(16_384, scale.value());
        for (int step = 2_002; step < 4_001; step++) {
            scale.update(true, step);
        }
        assertEquals(16_384, scale.value());
        scale.update(true, 4_001);
        assertEquals(32_768, scale.value());
    }

    @Test
    void staysAFloat() {
        LossScale scale = LossScale.dynamic(0x1p127f, 1);
        scale.update(true, 1);
        assertEquals(0x1p127f, scale.value());
    }

    @Test
    void whatOverflowsUnscaledEndsTheRun() {
        LossScale scale = LossScale.dynamic(2, 1);
        scale.update(false, 1);
        assertEquals(1, scale.value());
        String message = assertThrows(WarpBertException.class, () -> scale.update(false, 7)).getMessage();
        assertTrue(message.contains("step 7") && message.contains("--precision bf16"), message);
    }

    @Test
    void otherTypesAreNotScaled() {
        for (Dtype dtype : new Dtype[] {Dtype.F32, Dtype.BF16}) {
            LossScale scale = LossScale.of(dtype);
            for (int step = 1; step < 5_000; step++) {
                scale.update(step % 2 == 0, step);
            }
            assertEquals(1, scale.value());
        }
    }
}
