package org.warpbert.cli;

import org.warpbert.backend.Precision;
import org.warpbert.task.Compute;
import picocli.CommandLine.Option;

/** What computes. */
final class DeviceOptions {
    @Option(names = "--device", paramLabel = "auto|cpu|cuda[:N]|simt", defaultValue = "auto",
            description = "What computes (default: auto, a GPU where there is one). A device that is named is never replaced by another.")
    String device;

    @Option(names = "--threads", paramLabel = "N", defaultValue = "0", converter = Count.OrNone.class, description = "Host threads (default: 0, as many as there are cores).")
    int threads;

    @Option(names = "--precision", paramLabel = "auto|f32|bf16|fp16", defaultValue = "auto", description = "What it computes in (default: auto, bf16 on a GPU and f32 elsewhere; bf16 on a CPU takes AVX512-BF16).")
    Precision precision;

    @Option(names = "--memory", paramLabel = "SIZE", converter = MemorySize.class,
            description = "The most memory to take: 4GiB, 9.07GB, 512MiB, bytes; on the CPU of the whole process (default: what is free, less a margin).")
    long memory;

    Compute compute() {
        return new Compute(device, threads, precision, memory);
    }
}
