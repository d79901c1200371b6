package org.warpbert.train;

import org.warpbert.WarpBertException;
import org.warpbert.backend.Dtype;

/**
 * Dynamic loss scaling (Micikevicius et al. 2018, section 3.2) by the rules of PyTorch's GradScaler: small gradients of
 * float16 would be 0, so the loss is multiplied by a power of two as large as leaves them finite. A step that overflows is
 * skipped and halves the scale; after {@link #PATIENCE} steps without, it is doubled. Types with float32's exponents keep 1.
 */
final class LossScale {
    static final float START = 65_536;
    static final int PATIENCE = 2_000;

    private final boolean dynamic;
    private final int patience;
    private float scale;
    private int good;

    private LossScale(boolean dynamic, float start, int patience) {
        this.dynamic = dynamic;
        this.patience = patience;
        this.scale = start;
    }

    /** What gradients of this type need. */
    static LossScale of(Dtype dtype) {
        return dtype == Dtype.F16 ? dynamic(START, PATIENCE) : new LossScale(false, 1, 0);
    }

    static LossScale dynamic(float start, int patience) {
        return new LossScale(true, start, patience);
    }

    /** Whether {@link #value} depends on how the step before went. */
    boolean isDynamic() {
        return dynamic;
    }

    /** What the loss of the next step is multiplied by. */
    float value() {
        return scale;
    }

    /** Steps since the scale changed or one overflowed. */
    int good() {
        return good;
    }

    /** As it was when it said these. */
    void restore(float newScale, int newGood) {
        scale = newScale;
        good = newGood;
    }

    /** Hears of a step at {@link #value}, 1 for the first, whether its gradient was finite. */
    void update(boolean finite, long step) {
        if (!dynamic) {
            return;
        }
        if (!finite) {
            if (scale <= 1) {
                throw new WarpBertException("the gradient of step " + step + " overflows fp16 though the loss is not scaled any more;"
                        + " bf16 or float32 may hold it (--precision bf16 or f32)");
            }
            scale /= 2;
            good = 0;
        } else if (++good == patience) {
            scale = Float.isInfinite(2 * scale) ? scale : 2 * scale;
            good = 0;
        }
    }
}
