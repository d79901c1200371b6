package org.warpbert.backend;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.bytedeco.javacpp.BytePointer;
import org.warpbert.WarpBertException;

/**
 * An owned block of host memory that the backend's device reads and writes without a detour, 256-byte aligned: page-locked
 * for a GPU, plain otherwise. {@link DeviceMemory#upload(HostMemory, int)} from it may still be under way when it returns; the
 * block may be written again when the next such upload of the backend, or a download, has returned. What
 * {@link DeviceMemory#downloadAsync} puts there may be read when an {@link Event} says so. Closing waits for copies, and is
 * idempotent.
 */
public final class HostMemory implements AutoCloseable {
    private final Backend backend;
    private final String what;
    private final ByteBuffer buffer;
    private long address;

    HostMemory(Backend backend, String what, BytePointer block, int bytes) {
        this.backend = backend;
        this.what = what;
        this.address = block.address();
        this.buffer = block.capacity(bytes).asByteBuffer().order(ByteOrder.nativeOrder());
    }

    /** The whole block, in native byte order; always the same buffer. Not to be touched after {@link #close}. */
    public ByteBuffer buffer() {
        address();
        return buffer;
    }

    long address() {
        if (address == 0) {
            throw new WarpBertException("the host memory of " + what + " is used after it was closed");
        }
        return address;
    }

    @Override
    public void close() {
        if (address != 0) {
            long freed = address;
            address = 0;
            backend.freeHost(freed, buffer.capacity());
        }
    }
}
