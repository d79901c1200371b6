package org.warpbert.train;

import org.warpbert.WarpBertException;

/**
 * Which epoch's weights a run leaves, and whether it ends before its last epoch.
 *
 * @param metric   a metric of the task, or {@link #LOSS}, the dev set's, of which less is better; null: the task's own
 * @param patience ends after so many epochs in a row that were not better; 0: never
 * @param keepBest whether the best epoch's weights are left, the first of equals, or the last epoch's
 */
public record Selection(String metric, int patience, boolean keepBest) {
    public static final String LOSS = "loss";
    /** All epochs, and the last one's weights. */
    public static final Selection LAST = new Selection(null, 0, false);

    public Selection {
        if (patience < 0) {
            throw new WarpBertException("the patience (--patience) is " + patience + ", it must be at least 0");
        }
        if (metric != null && patience == 0 && !keepBest) {
            throw new WarpBertException("a metric (--metric) goes with patience (--patience) or the best epoch's weights (--keep best)");
        }
    }

    /** Whether there is anything to choose by, so that there must be a dev set. */
    public boolean judges() {
        return patience > 0 || keepBest;
    }
}
