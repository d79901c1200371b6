package org.warpbert.train;

import java.util.Map;

/** Hears what a run does, on the training thread. Every method may be left out. */
public interface TrainingListener {
    /** What a run is about to do. */
    record Start(String task, String model, long parameters, String device, String precision, int trainExamples, int devExamples,
                 int skipped, int truncated, int stepsPerEpoch, int epochs, int maxBatchTokens, long plannedBytes) {}

    /**
     * One optimizer step.
     *
     * @param step            1 for the first
     * @param epoch           1 for the first
     * @param loss            mean over the batch, before the update
     * @param gradNorm        l2 norm of the whole gradient before clipping; NaN: not finite, the step was skipped
     * @param lr              learning rate of this update
     * @param lossScale       what the loss was multiplied by for float16 gradients; 1 in other precisions
     * @param tokens          real tokens in the batch
     * @param tokensPerSecond real tokens over the time since the last step, all in
     */
    record Step(long step, int epoch, double loss, double gradNorm, double lr, double lossScale, int tokens, double tokensPerSecond) {}

    /**
     * One epoch. Without a dev set, {@code devLoss} is NaN and {@code metrics} is empty.
     *
     * @param trainLoss mean of the steps' losses
     * @param metrics   the task's on the dev set, by name
     * @param seconds   training alone, evaluation not counted
     */
    record Epoch(int epoch, double trainLoss, double devLoss, Map<String, Double> metrics, double seconds) {}

    /** A line that the user should read: rows skipped, texts cut, a head made anew. */
    default void note(String line) {}

    default void started(Start start) {}

    default void stepped(Step step) {}

    default void evaluating(int done, int batches) {}

    default void finishedEpoch(Epoch epoch) {}
}
