package org.warpbert.cli;

import org.warpbert.task.PretrainTask;
import org.warpbert.text.Masking;
import org.warpbert.text.Objective;
import picocli.CommandLine.Option;

/** What is asked of running text. */
final class MaskingOptions {
    @Option(names = "--mask-share", paramLabel = "X", description = "Running text: this share of the pieces is masked (default: 0.15).")
    private double share = Masking.SHARE;

    @Option(names = "--whole-word", description = "Running text: words are masked whole or not at all.")
    private boolean wholeWords;

    @Option(names = "--mask-seed", paramLabel = "N", description = "Running text: seed of masks and pairs (default: 42).")
    private long seed = 42;

    PretrainTask task(Objective objective) {
        return new PretrainTask(objective, share, wholeWords, seed);
    }
}
