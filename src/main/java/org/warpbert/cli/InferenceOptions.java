package org.warpbert.cli;

import org.warpbert.task.TextClassifier;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Which model works, on what, and how much at a time. */
final class InferenceOptions {
    @Option(names = "--model", required = true, paramLabel = "NAME|DIR", description = "A run or model folder, or a name (see: warpbert models list).")
    String model;

    @Option(names = "--max-length", paramLabel = "N", description = "Longer texts are cut to so many tokens (default: the model's positions, at most 512).")
    private Integer maxLength;

    @Option(names = "--batch-size", paramLabel = "N", converter = Count.class, description = "Texts computed at a time (default: 32).")
    int batchSize = TextClassifier.BATCH_SIZE;

    @Mixin DeviceOptions device;

    /** What to cut texts to, for a model of so many positions. */
    int maxLength(int positions) {
        return maxLength(0, positions);
    }

    /** The same for a task with a usual length of its own, or 0. */
    int maxLength(int usual, int positions) {
        return maxLength != null ? maxLength : Math.min(usual > 0 ? usual : TextClassifier.MAX_LENGTH, positions);
    }

    void check(WarpBertCommand command) {
        if (maxLength != null && maxLength < 3) {
            throw command.usage("--max-length is " + maxLength + ", it must be at least 3");
        }
    }
}
