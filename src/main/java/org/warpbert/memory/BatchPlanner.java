package org.warpbert.memory;

import java.util.List;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.Capacity;

/**
 * Chooses how effective batches are computed in the memory there is: how large micro-batches are and what the backward
 * computes again. For each level of recomputation the micro-batch is the largest that fits, to the token; of the levels the
 * one of the least predicted time is taken, the first of equals.
 */
public final class BatchPlanner {
    /** Bytes that buffers for micro-batches of this size take; no fewer for a larger one, unless that is the whole batch. */
    @FunctionalInterface
    public interface Sizes {
        long bytes(Capacity microBatch, Recompute recompute);
    }

    /** Predicted seconds of a step of so many tokens in so many micro-batches. */
    @FunctionalInterface
    public interface Cost {
        double seconds(double tokens, double parts, Recompute recompute);
    }

    /**
     * A way to compute the batches.
     *
     * @param microBatch what buffers are made for
     * @param parts      the most micro-batches that a batch falls into
     * @param bytes      that the buffers take
     * @param seconds    predicted, of the mean step
     */
    public record Choice(Capacity microBatch, Recompute recompute, int parts, long bytes, double seconds) {
        /** Whether batches are computed alike. */
        public boolean sameWay(Choice other) {
            return microBatch.equals(other.microBatch) && recompute == other.recompute;
        }
    }

    private final BatchSizes batches;
    private final List<Recompute> levels;
    private final Sizes sizes;
    private final Cost cost;

    /** @param levels the levels to choose from, each taking less than the one before */
    public BatchPlanner(BatchSizes batches, List<Recompute> levels, Sizes sizes, Cost cost) {
        this.batches = batches;
        this.levels = levels;
        this.sizes = sizes;
        this.cost = cost;
    }

    /** The fastest way in so many bytes, or null: there is none. */
    public Choice choose(long available) {
        Choice best = null;
        for (Recompute level : levels) {
            Choice choice = choose(available, level);
            if (choice != null && (best == null || choice.seconds < best.seconds)) {
                best = choice;
            }
            if (choice != null && choice.parts == 1) {
                break; // further levels only compute more
            }
        }
        return best;
    }

    private Choice choose(long available, Recompute level) {
        int whole = batches.largest().tokens();
        if (bytes(whole, level) <= available) {
            return choice(whole, level);
        }
        int fits = batches.largestExample().tokens();
        if (bytes(fits, level) > available) {
            return null;
        }
        int most = whole - 1;
        while (fits < most) {
            int middle = fits + (most - fits + 1) / 2;
            if (bytes(middle, level) <= available) {
                fits = middle;
            } else {
                most = middle - 1;
            }
        }
        return choice(fits, level);
    }

    private Choice choice(int tokens, Recompute level) {
        Capacity microBatch = batches.microBatch(tokens);
        BatchSizes.Parts parts = batches.parts(microBatch);
        return new Choice(microBatch, level, parts.most(), sizes.bytes(microBatch, level), cost.seconds(batches.meanTokens(), parts.mean(), level));
    }

    private long bytes(int tokens, Recompute level) {
        return sizes.bytes(batches.microBatch(tokens), level);
    }

    /** The way of the fewest bytes: an example at a time, and as much computed again as can be. */
    public Choice least() {
        return choice(batches.largestExample().tokens(), levels.get(levels.size() - 1));
    }

    /** The bytes of {@link #least}, had the largest example so many tokens. */
    public long leastBytes(int tokens) {
        return sizes.bytes(batches.microBatch(batches.largestExample().tokens()).cutTo(tokens), levels.get(levels.size() - 1));
    }

    /** The batches that are planned for. */
    public BatchSizes batches() {
        return batches;
    }
}
