package org.warpbert.train;

import java.util.List;
import java.util.Map;
import org.warpbert.WarpBertException;

/** Follows a metric from epoch to epoch. */
public final class BestEpoch {
    private final Selection selection;
    private final String metric;
    private double best = Double.NaN;
    private int epoch;
    private int waited;

    /**
     * @param names the task's metrics that may be followed, its own first
     */
    public BestEpoch(Selection selection, List<String> names) {
        this.selection = selection;
        this.metric = selection.metric() == null ? names.get(0) : selection.metric();
        if (!metric.equals(Selection.LOSS) && !names.contains(metric)) {
            throw new WarpBertException("the metric (--metric) is '" + metric + "', it must be one of " + String.join(", ", names) + ", " + Selection.LOSS);
        }
    }

    /**
     * Takes in the next epoch.
     *
     * @return whether it is the best so far; a number is better than none
     */
    public boolean add(int number, double loss, Map<String, Double> metrics) {
        double value = metric.equals(Selection.LOSS) ? -loss : metrics.get(metric);
        boolean better = epoch == 0 || value > best || Double.isNaN(best) && !Double.isNaN(value);
        if (better) {
            best = value;
            epoch = number;
            waited = 0;
        } else {
            waited++;
        }
        return better;
    }

    /** What it knows, to go on from. */
    public record State(double best, int epoch, int waited) {}

    public State state() {
        return new State(best, epoch, waited);
    }

    public void restore(State state) {
        best = state.best;
        epoch = state.epoch;
        waited = state.waited;
    }

    /** Whether patience has run out. */
    public boolean isOver() {
        return selection.patience() > 0 && waited >= selection.patience();
    }

    /** Number of the best epoch. */
    public int epoch() {
        return epoch;
    }

    /** What is followed. */
    public String metric() {
        return metric;
    }
}
