package org.warpbert.memory;

import org.warpbert.backend.DeviceMemory;

/**
 * Memory of another owner, who does not need it for a while: what an {@link Arena} borrows.
 *
 * @param offset of its first byte in {@code memory}, a multiple of {@value Arena#ALIGNMENT}
 */
public record Loan(DeviceMemory memory, long offset) {}
