package org.warpbert.train;

import java.util.List;

/**
 * What a run was and what came of it: the run folder's {@code summary.json}, in snake case.
 *
 * @param device              "cpu", "cuda"
 * @param deviceDescription   what computed, one line
 * @param precision           what was computed in: "f32", "bf16" or "fp16"
 * @param skippedSteps        of the steps, those whose gradient was not finite: they changed no weight
 * @param majority            accuracy of always answering the dev set's most frequent class; NaN without a dev set
 * @param realTokens          tokens trained on, all steps
 * @param paddedTokensAvoided tokens that padding every sequence to the maximum length would have added
 * @param plannedBytes        what was allocated for weights, gradients, optimizer state and activations
 * @param peakBytes           most bytes resident in the process, everything counted
 * @param gemmShare           share of the training steps' time that went into matrix products; NaN on a device that runs
 *                            them beside the host
 * @param seconds             training and evaluation
 * @param truncated           training texts cut to the maximum length
 * @param skippedEmpty        training rows left out for an empty text
 */
public record Summary(String task, String model, long parameters, String device, String deviceDescription, String precision,
                      Hyperparameters hyperparameters,
                      long seed, List<String> labels, int trainExamples, int devExamples, int skippedEmpty, int truncated,
                      long steps, long skippedSteps, List<TrainingListener.Epoch> epochs, double majority, long realTokens,
                      long paddedTokensAvoided, long plannedBytes, long peakBytes, double gemmShare,
                      double seconds) {}
