package org.warpbert.memory;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;

/**
 * What is held at a time, part by part: filled by the tables that allocate, so that the sum is the allocation, to the byte.
 */
public final class MemoryPlan {
    private final Map<String, Long> parts = new LinkedHashMap<>();

    /** Adds bytes to a part. */
    public MemoryPlan add(String part, long bytes) {
        parts.merge(part, bytes, Long::sum);
        return this;
    }

    /** Adds every tensor of an arena, with the gap up to the next, to the part that {@code part} names for it. */
    public MemoryPlan add(Arena arena, Function<String, String> part) {
        arena.tensors().forEach(tensor -> add(part.apply(tensor.name()), tensor.span()));
        return this;
    }

    /** Adds all of another plan. */
    public MemoryPlan add(MemoryPlan other) {
        other.parts.forEach(this::add);
        return this;
    }

    /** Of all parts. */
    public long bytes() {
        return parts.values().stream().mapToLong(Long::longValue).sum();
    }

    /** Bytes by part, in the order in which they were added. */
    public Map<String, Long> parts() {
        return Collections.unmodifiableMap(parts);
    }
}
