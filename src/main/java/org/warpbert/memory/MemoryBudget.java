package org.warpbert.memory;

import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;

/**
 * The most memory that a run may have: on a CPU of the whole process, resident; on a GPU of the device, the context
 * counted. Sets the backend's limit, beyond which it allocates nothing.
 *
 * @param total    bytes in all
 * @param overhead of these, what is not allocated on the device
 */
public record MemoryBudget(long total, long overhead) {
    private static final int MARGIN = 20; // a twentieth of what is free stays so, where no budget is given

    /**
     * Limits a backend. To be called when data and tokenizer are loaded, and before the weights are.
     *
     * @param requested bytes, or 0: what is free, less a margin
     */
    public static MemoryBudget limit(Backend backend, long requested) {
        return limit(backend, requested, 0);
    }

    /** As {@link #limit(Backend, long)}, where the process is known to take so many bytes more of the host's memory. */
    public static MemoryBudget limit(Backend backend, long requested, long more) {
        long free = backend.freeBytes();
        long held = backend.allocatedBytes();
        long overhead = overhead(backend) + (backend.isHost() ? more : 0);
        if (requested > backend.totalBytes()) {
            throw new WarpBertException("the memory to take (--memory) is " + ByteSize.format(requested) + ", more than the " + ByteSize.format(backend.totalBytes())
                    + " that " + (backend.isHost() ? "this machine" : "the device") + " has");
        }
        long total = requested > 0 ? requested : overhead + held + free - free / MARGIN;
        if (total <= overhead) {
            throw new WarpBertException("the memory to take (--memory) is " + ByteSize.format(total) + ", less than the " + ByteSize.format(overhead)
                    + " that the process takes without any model");
        }
        backend.limit(total - overhead);
        return new MemoryBudget(total, overhead);
    }

    /** What this process takes now of the device's memory besides what it allocates there, and will still grow by. */
    public static long overhead(Backend backend) {
        return backend.isHost()
                ? Math.max(0, ProcessMemory.residentBytes() - backend.allocatedBytes()) + FixedOverhead.growth(backend.threads())
                : FixedOverhead.of(backend.name(), backend.threads());
    }

    /** What may be allocated on the device. */
    public long own() {
        return total - overhead;
    }
}
