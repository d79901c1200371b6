package org.warpbert.train;

import java.util.Locale;

/** How the learning rate changes over the steps, as Hugging Face's schedules of these names do. */
public enum Schedule {
    /** Rises from 0 over the warm-up, then falls in a line to 0 at the last step. */
    LINEAR,
    /** Rises from 0 over the warm-up, then stays. */
    CONSTANT;

    /**
     * Factor of the learning rate.
     *
     * @param step  0 for the first
     * @param total steps after which LINEAR is 0
     */
    public double factor(long step, long warmup, long total) {
        if (step < warmup) {
            return (double) step / warmup;
        }
        if (this == CONSTANT) {
            return 1;
        }
        return Math.max(0, (double) (total - step) / Math.max(1, total - warmup));
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
