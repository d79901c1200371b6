package org.warpbert.task;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.warpbert.backend.Gemm;
import org.warpbert.text.PackedBatch;
import org.warpbert.train.RunFolder;
import org.warpbert.train.Trainer;
import org.warpbert.train.TrainingListener;

/** What a run has done so far: takes the results of its steps, in order though perhaps one late, and of its epochs, tells them, and adds them up. */
final class RunLog {
    private final RunFolder folder;
    private final TrainingListener listener;
    private final Gemm gemm;
    private final List<TrainingListener.Epoch> epochs = new ArrayList<>();
    private Map<String, Double> baseline = Map.of();
    private long steps;
    private long skipped;
    private long tokens;
    private long avoided; // padding
    private final long start = System.nanoTime();
    private double elapsedBefore; // this part of the run began
    private double seconds;
    private double gemmSeconds;
    private int epochSteps;
    private double epochLoss; // summed
    private double epochSeconds;
    private long begun; // when training last was, here and on the clock of products
    private long gemmBegun;
    private long last;

    RunLog(RunFolder folder, TrainingListener listener, Gemm gemm) {
        this.folder = folder;
        this.listener = listener;
        this.gemm = gemm;
    }

    /** All that it has added up, to go on from; taken in a pause. */
    record State(List<TrainingListener.Epoch> epochs, Map<String, Double> baseline, long steps, long skipped, long tokens, long avoided,
                 double elapsed, double seconds, double gemmSeconds, int epochSteps, double epochLoss, double epochSeconds) {}

    State state() {
        return new State(List.copyOf(epochs), baseline, steps, skipped, tokens, avoided, elapsed(), seconds, gemmSeconds, epochSteps, epochLoss, epochSeconds);
    }

    void restore(State state) {
        epochs.addAll(state.epochs);
        baseline = state.baseline;
        steps = state.steps;
        skipped = state.skipped;
        tokens = state.tokens;
        avoided = state.avoided;
        elapsedBefore = state.elapsed;
        seconds = state.seconds;
        gemmSeconds = state.gemmSeconds;
        epochSteps = state.epochSteps;
        epochLoss = state.epochLoss;
        epochSeconds = state.epochSeconds;
    }

    /** Steps follow: of the next epoch, or of one that was paused or begun before this run was stopped. */
    void begin() {
        gemmBegun = gemm.nanos();
        begun = System.nanoTime();
        last = begun;
    }

    /** @param result of the step after the last one that was added */
    void add(Trainer.Result result) {
        long now = System.nanoTime();
        TrainingListener.Step step = new TrainingListener.Step(++steps, epochs.size() + 1, result.loss(), result.gradNorm(), result.lr(),
                result.lossScale(), result.tokens(), result.tokens() * 1e9 / (now - last));
        last = now;
        folder.metric(step);
        listener.stepped(step);
        epochLoss += result.loss();
        skipped += result.skipped() ? 1 : 0;
        tokens += result.tokens();
        epochSteps++;
    }

    /** All steps so far were added; what follows, until {@link #begin}, does not count as training. */
    void pause() {
        double more = (System.nanoTime() - begun) / 1e9;
        epochSeconds += more;
        seconds += more;
        gemmSeconds += (gemm.nanos() - gemmBegun) / 1e9;
    }

    /** The epoch is over. @param judged what came of it, or null: there is nothing to judge by */
    TrainingListener.Epoch finish(Evaluation judged) {
        baseline = judged == null ? baseline : judged.baseline();
        TrainingListener.Epoch epoch = new TrainingListener.Epoch(epochs.size() + 1, epochLoss / epochSteps,
                judged == null ? Double.NaN : judged.loss(), judged == null ? Map.of() : judged.metrics(), epochSeconds);
        epochs.add(epoch);
        epochSteps = 0;
        epochLoss = 0;
        epochSeconds = 0;
        listener.finishedEpoch(epoch);
        return epoch;
    }

    /** A batch goes to the trainer. */
    void begin(PackedBatch batch, int maxLength) {
        avoided += batch.paddedTokens(maxLength) - batch.totalTokens();
    }

    /** Tokens that a batch padded to the maximum would have had more, of all batches. */
    long avoided() {
        return avoided;
    }

    /** Seconds since the run began, those not counted in which it was stopped. */
    double elapsed() {
        return elapsedBefore + (System.nanoTime() - start) / 1e9;
    }

    /** Whether steps were added of an epoch that is not over. */
    boolean openEpoch() {
        return epochSteps > 0;
    }

    List<TrainingListener.Epoch> epochs() {
        return epochs;
    }

    /** Of the last evaluation: see {@link Evaluation}. */
    Map<String, Double> baseline() {
        return baseline;
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

    /** Share of the training's time that went into matrix products; NaN where they run on without the host. */
    double gemmShare() {
        return gemmSeconds == 0 ? Double.NaN : gemmSeconds / seconds;
    }
}
