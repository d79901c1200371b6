package org.warpbert.task;

import org.warpbert.train.RunFolder;
import org.warpbert.train.Trainer;
import org.warpbert.train.TrainingListener;

/** Takes the results of a run's steps, in order though perhaps one late, tells them, and adds them up. */
final class StepLog {
    private final RunFolder folder;
    private final TrainingListener listener;
    private long steps;
    private long skipped;
    private long tokens;
    private int epoch;
    private int epochSteps;
    private double lossSum;
    private long last;

    StepLog(RunFolder folder, TrainingListener listener) {
        this.folder = folder;
        this.listener = listener;
    }

    /** The steps of this epoch follow. */
    void begin(int newEpoch) {
        epoch = newEpoch;
        epochSteps = 0;
        lossSum = 0;
        last = System.nanoTime();
    }

    /** @param result of the step after the last one that was added */
    void add(Trainer.Result result) {
        long now = System.nanoTime();
        TrainingListener.Step step = new TrainingListener.Step(++steps, epoch, result.loss(), result.gradNorm(), result.lr(),
                result.lossScale(), result.tokens(), result.tokens() * 1e9 / (now - last));
        last = now;
        folder.metric(step);
        listener.stepped(step);
        lossSum += result.loss();
        skipped += result.skipped() ? 1 : 0;
        tokens += result.tokens();
        epochSteps++;
    }

    /** Mean of the epoch's losses so far. */
    double meanLoss() {
        return lossSum / epochSteps;
    }

    long steps() {
        return steps;
    }

    long skipped() {
        return skipped;
    }

    /** Real tokens of all steps. */
    long tokens() {
        return tokens;
    }
}
