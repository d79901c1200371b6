package org.warpbert.memory;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import org.warpbert.backend.Backends;

/**
 * What is held at a time, part by part: filled by the tables that allocate, so that the sum is the allocation, to the byte. What
 * is kept on the host for the device stands apart until {@link #on} says whether it counts.
 */
public final class MemoryPlan {
    /** What the names of parts on the host begin with. */
    public static final String HOST = "host.";

    private final Map<String, Long> parts = new LinkedHashMap<>();
    private final Map<String, Long> hostParts = new LinkedHashMap<>();

    /** Adds bytes to a part. */
    public MemoryPlan add(String part, long bytes) {
        parts.merge(part, bytes, Long::sum);
        return this;
    }

    /** Adds bytes of the host to a part, which is then called {@link #HOST} and this name. */
    public MemoryPlan addHost(String part, long bytes) {
        hostParts.merge(HOST + part, bytes, Long::sum);
        return this;
    }

    /**
     * Adds every tensor of an arena, with the gap up to the next, to the part that {@code part} names for it, and its block on the
     * host. What stands in borrowed memory counts with its owner.
     */
    public MemoryPlan add(Arena arena, Function<String, String> part) {
        arena.tensors().forEach(tensor -> add(part.apply(tensor.name()), tensor.taken()));
        return addHost("read_back", arena.hostBytes());
    }

    /** The same, as it counts on a kind of device ("cpu", "cuda", "simt"): where its memory is the host's, the host's parts too. */
    public MemoryPlan on(String device) {
        MemoryPlan counted = new MemoryPlan().add(this);
        if (Backends.isHost(device)) {
            counted.hostParts.forEach(counted::add);
            counted.hostParts.clear();
        }
        return counted;
    }

    /** Adds all of another plan. */
    public MemoryPlan add(MemoryPlan other) {
        other.parts.forEach(this::add);
        other.hostParts.forEach((part, bytes) -> hostParts.merge(part, bytes, Long::sum));
        return this;
    }

    /** Of all parts, the host's not counted unless {@link #on} has moved them. */
    public long bytes() {
        return parts.values().stream().mapToLong(Long::longValue).sum();
    }

    /** Bytes by part, in the order in which they were added. */
    public Map<String, Long> parts() {
        return Collections.unmodifiableMap(parts);
    }

    /** The same of the host's memory beside. */
    public Map<String, Long> hostParts() {
        return Collections.unmodifiableMap(hostParts);
    }
}
