package org.warpbert.cli;

import org.warpbert.task.PretrainTask;
import org.warpbert.text.Masking;
import org.warpbert.text.Objective;
import picocli.CommandLine.Option;

/** What is asked of running text. */
final class MaskingOptions {
    static final String NAMES = "--mask-share, --whole-word and --mask-seed";

    @Option(names = "--mask-share", paramLabel = "X", description = "Running text: this share of the pieces is masked (default: 0.15).")
    private Double share;

    @Option(names = "--whole-word", description = "Running text: words are masked whole or not at all.")
    private boolean wholeWords;

    @Option(names = "--mask-seed", paramLabel = "N", description = "Running text: seed of masks and pairs (default: 42).")
    private Long seed;

    boolean given() {
        return share != null || wholeWords || seed != null;
    }

    PretrainTask task(Objective objective) {
        return new PretrainTask(objective, share == null ? Masking.SHARE : share, wholeWords, seed == null ? 42 : seed);
    }
}
