package org.warpbert.memory;

import java.util.function.Consumer;
import java.util.function.Supplier;
import org.warpbert.backend.OutOfDeviceMemory;

/** For what is allocated once and cannot be made smaller: weights, gradients, moments. */
public final class Retry {
    private Retry() {}

    /**
     * Allocates, and where memory was refused, once more: what another process took may be free again.
     *
     * @param note receives a line where it was refused
     */
    public static <T> T once(Supplier<T> allocation, Consumer<String> note) {
        try {
            return allocation.get();
        } catch (OutOfDeviceMemory e) {
            note.accept("out of memory, tried again: " + e.getMessage());
            return allocation.get();
        }
    }
}
