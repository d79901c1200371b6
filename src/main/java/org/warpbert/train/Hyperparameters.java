package org.warpbert.train;

import java.util.function.Consumer;
import org.warpbert.WarpBertException;

/**
 * How to train. The defaults are those of the CoLA notebook that this project started from.
 *
 * @param epochs      times through the training set
 * @param batchSize   sequences per optimizer step
 * @param maxLength   most tokens per sequence, special tokens included
 * @param lr          peak learning rate
 * @param warmupSteps steps over which the rate rises from 0
 * @param weightDecay AdamW's, on neither biases nor LayerNorm
 * @param clip        largest l2 norm of the whole gradient; 0: no clipping
 * @param dropout     every dropout probability, or null for the model's own
 * @param totalSteps  steps after which the linear schedule reaches 0; 0: as many as the epochs have
 * @param steps       stop after so many steps; 0: at the end of the epochs
 * @param seed        of the order, the split, dropout and fresh heads
 * @param shuffle     false: the file's order in every epoch
 * @param layerRates  how the learning rate differs by depth, and what is frozen
 * @param selection   which epoch's weights are left, and when a run ends early
 */
public record Hyperparameters(int epochs, int batchSize, int maxLength, double lr, int warmupSteps, double weightDecay,
                              double clip, Double dropout, Schedule schedule, int totalSteps, int steps, long seed,
                              boolean shuffle, LayerRates layerRates, Selection selection) {
    public static final double BETA1 = 0.9;
    public static final double BETA2 = 0.999;
    public static final double EPSILON = 1e-8;

    public static final Hyperparameters DEFAULT =
            new Hyperparameters(4, 32, 64, 2e-5, 0, 0.01, 1.0, null, Schedule.LINEAR, 0, 0, 42, true);

    public Hyperparameters {
        least("the number of epochs (--epochs)", epochs, 1);
        least("the batch size (--batch-size)", batchSize, 1);
        least("the maximum length (--max-length)", maxLength, 3);
        least("the number of warmup steps (--warmup-steps)", warmupSteps, 0);
        least("the number of steps of the schedule (--total-steps)", totalSteps, 0);
        least("the number of steps (--steps)", steps, 0);
        finite("the learning rate (--lr)", lr);
        finite("the weight decay (--weight-decay)", weightDecay);
        finite("the largest gradient norm (--clip)", clip);
        if (dropout != null && !(dropout >= 0 && dropout < 1)) {
            throw new WarpBertException("the dropout (--dropout) is " + dropout + ", it must be in [0, 1)");
        }
    }

    /** The same rate for all layers, all epochs, and the last one's weights. */
    public Hyperparameters(int epochs, int batchSize, int maxLength, double lr, int warmupSteps, double weightDecay, double clip, Double dropout,
            Schedule schedule, int totalSteps, int steps, long seed, boolean shuffle) {
        this(epochs, batchSize, maxLength, lr, warmupSteps, weightDecay, clip, dropout, schedule, totalSteps, steps, seed, shuffle,
                LayerRates.EQUAL, Selection.LAST);
    }

    /** What {@link #with} changes; the components of the record, with their meanings. */
    public static final class Values {
        public int epochs;
        public int batchSize;
        public int maxLength;
        public double lr;
        public int warmupSteps;
        public double weightDecay;
        public double clip;
        public Double dropout;
        public Schedule schedule;
        public int totalSteps;
        public int steps;
        public long seed;
        public boolean shuffle;
        public LayerRates layerRates;
        public Selection selection;

        private Values(Hyperparameters from) {
            epochs = from.epochs;
            batchSize = from.batchSize;
            maxLength = from.maxLength;
            lr = from.lr;
            warmupSteps = from.warmupSteps;
            weightDecay = from.weightDecay;
            clip = from.clip;
            dropout = from.dropout;
            schedule = from.schedule;
            totalSteps = from.totalSteps;
            steps = from.steps;
            seed = from.seed;
            shuffle = from.shuffle;
            layerRates = from.layerRates;
            selection = from.selection;
        }
    }

    /** These, but for some: {@code Hyperparameters.DEFAULT.with(h -> { h.epochs = 2; h.lr = 3e-5; })}. */
    public Hyperparameters with(Consumer<Values> changes) {
        Values v = new Values(this);
        changes.accept(v);
        return new Hyperparameters(v.epochs, v.batchSize, v.maxLength, v.lr, v.warmupSteps, v.weightDecay, v.clip, v.dropout, v.schedule, v.totalSteps,
                v.steps, v.seed, v.shuffle, v.layerRates, v.selection);
    }

    /** How many epochs of so many steps are begun at most: fewer where a run stops before ({@code --steps}). */
    public int epochsBegun(int stepsPerEpoch) {
        return steps > 0 ? Math.min(epochs, (steps - 1) / stepsPerEpoch + 1) : epochs;
    }

    private static void least(String what, int value, int least) {
        if (value < least) {
            throw new WarpBertException(what + " is " + value + ", it must be at least " + least);
        }
    }

    private static void finite(String what, double value) {
        if (!(value >= 0) || Double.isInfinite(value)) {
            throw new WarpBertException(what + " is " + value + ", it must be 0 or a positive number");
        }
    }

    /** Learning rate of a step, 0 the first, where the epochs hold {@code stepsOfEpochs}. */
    double lr(long step, long stepsOfEpochs) {
        return lr * schedule.factor(step, warmupSteps, totalSteps > 0 ? totalSteps : stepsOfEpochs);
    }
}
