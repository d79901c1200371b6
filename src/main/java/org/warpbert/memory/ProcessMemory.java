package org.warpbert.memory;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What this process takes of the machine's memory. */
public final class ProcessMemory {
    private ProcessMemory() {}

    /** The most bytes that have been resident so far, everything counted (JVM, libraries, buffers); 0 where unknown. */
    public static long peakResidentBytes() {
        return status("VmHWM:");
    }

    /** The bytes that are resident now, counted likewise. */
    public static long residentBytes() {
        return status("VmRSS:");
    }

    private static long status(String key) {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
                if (line.startsWith(key)) {
                    return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
                }
            }
        } catch (IOException e) {
            return 0; // not a Linux /proc
        }
        return 0;
    }
}
