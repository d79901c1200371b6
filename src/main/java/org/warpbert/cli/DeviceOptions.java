package org.warpbert.cli;

import picocli.CommandLine.Option;

/** What computes. */
final class DeviceOptions {
    @Option(names = "--device", paramLabel = "auto|cpu|cuda[:N]|simt", defaultValue = "auto",
            description = "What computes (default: auto, a GPU where there is one). A device that is named is never replaced by another.")
    String device;

    @Option(names = "--threads", paramLabel = "N", defaultValue = "0", description = "Host threads (default: 0, as many as there are cores).")
    int threads;
}
