package org.warpbert.train;

import java.util.List;
import java.util.Map;

/**
 * What a run was and what came of it: the run folder's {@code summary.json}, in snake case.
 *
 * @param device              "cpu", "cuda"
 * @param deviceDescription   what computed, one line
 * @param precision           what was computed in: "f32", "bf16" or "fp16"
 * @param skippedSteps        of the steps, those whose gradient was not finite: they changed no weight
 * @param labels              of the head's outputs, or null where they have no names
 * @param keptEpoch           the epoch whose weights the run holds
 * @param baseline            the dev set's metrics for the best answer that does not look at the text
 * @param realTokens          tokens trained on, all steps
 * @param paddedTokensAvoided tokens that padding every sequence to the maximum length would have added
 * @param memory              the plan that the run began with
 * @param plannedBytes        what was allocated for weights, gradients, optimizer state and activations
 * @param peakBytes           most bytes resident in the process, everything counted
 * @param gemmShare           share of the training steps' time that went into matrix products; NaN on a device that runs
 *                            them beside the host
 * @param seconds             training and evaluation
 * @param truncated           training examples cut to the maximum length
 * @param skipped             rows of the training file left out
 */
public record Summary(String task, String model, long parameters, String device, String deviceDescription, String precision,
                      Hyperparameters hyperparameters,
                      long seed, List<String> labels, int trainExamples, int devExamples, int skipped, int truncated,
                      long steps, long skippedSteps, List<TrainingListener.Epoch> epochs, int keptEpoch, Map<String, Double> baseline, long realTokens,
                      long paddedTokensAvoided, TrainingPlan.Kept memory, long plannedBytes, long peakBytes, double gemmShare,
                      double seconds) {}
