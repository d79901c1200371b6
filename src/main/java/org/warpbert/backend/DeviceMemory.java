package org.warpbert.backend;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.warpbert.WarpBertException;

/**
 * An owned block of a backend's memory, 256-byte aligned. Closing is idempotent; use after close is an error. Contents
 * are undefined until written.
 */
public final class DeviceMemory implements AutoCloseable {
    private final Backend backend;
    private final String what;
    private final long bytes;
    private long address;

    DeviceMemory(Backend backend, String what, long address, long bytes) {
        this.backend = backend;
        this.what = what;
        this.address = address;
        this.bytes = bytes;
    }

    /** The block's address in the backend's memory. */
    public long address() {
        if (address == 0) {
            throw new WarpBertException("the memory of " + what + " is used after it was closed");
        }
        return address;
    }

    public long bytes() {
        return bytes;
    }

    /** Copies {@code count} floats from host to this block, starting at float number {@code offset} of it. */
    public void upload(long offset, float[] source, int count) {
        ByteBuffer staging = ByteBuffer.allocateDirect(Math.multiplyExact(count, 4)).order(ByteOrder.nativeOrder());
        staging.asFloatBuffer().put(source, 0, count);
        upload(offset * 4, staging);
    }

    public void upload(float[] source) {
        upload(0, source, source.length);
    }

    public void upload(int[] source) {
        ByteBuffer staging = ByteBuffer.allocateDirect(Math.multiplyExact(source.length, 4)).order(ByteOrder.nativeOrder());
        staging.asIntBuffer().put(source);
        upload(0, staging);
    }

    /** Copies what remains of a direct buffer to byte {@code offset} of this block. */
    public void upload(long offset, ByteBuffer direct) {
        check("upload", offset, direct.remaining());
        backend.check("upload", Native.wb_upload(backend.context(), address() + offset, addressOf(direct), direct.remaining()));
    }

    /**
     * Copies the first {@code count} bytes of host memory to the start of this block, perhaps after returning: see
     * {@link HostMemory} for when it may be written again.
     */
    public void upload(HostMemory source, int count) {
        upload(0, source, count);
    }

    /** The same to byte {@code offset} of this block. */
    public void upload(long offset, HostMemory source, int count) {
        check("upload", offset, count);
        backend.check("upload", Native.wb_upload(backend.context(), address() + offset, source.address(), count));
    }

    /** Copies {@code count} bytes from byte {@code offset} of this block to the start of host memory; waits for the work before. */
    public void download(long offset, HostMemory target, int count) {
        check("download", offset, count);
        backend.check("download", Native.wb_download(backend.context(), target.address(), address() + offset, count));
    }

    /** Reads {@code count} floats from float number {@code offset} on; waits for the work before. */
    public float[] downloadFloats(long offset, int count) {
        return downloadFloats(Dtype.F32, offset, count);
    }

    /** Reads {@code count} elements of a type, as floats, from element number {@code offset} on; waits for the work before. */
    public float[] downloadFloats(Dtype dtype, long offset, int count) {
        float[] result = new float[count];
        dtype.toFloats(download(offset * dtype.bytes(), Math.multiplyExact(count, dtype.bytes())), FloatBuffer.wrap(result));
        return result;
    }

    /** Reads bytes into a fresh direct buffer in native order. */
    public ByteBuffer download(long offset, int count) {
        ByteBuffer target = ByteBuffer.allocateDirect(count).order(ByteOrder.nativeOrder());
        download(offset, target);
        return target;
    }

    /** Fills what remains of a direct buffer, its position unchanged, from byte {@code offset} of this block. */
    public void download(long offset, ByteBuffer direct) {
        check("download", offset, direct.remaining());
        backend.check("download",
                Native.wb_download(backend.context(), addressOf(direct), address() + offset, direct.remaining()));
    }

    /**
     * Copies {@code count} bytes from byte {@code offset} of this block to byte {@code at} of host memory, perhaps after
     * returning: they are there when an {@link Event} recorded after this was waited for.
     */
    public void downloadAsync(long offset, int count, HostMemory target, int at) {
        check("download", offset, count);
        if (at < 0 || at + count > target.buffer().capacity()) {
            throw new WarpBertException("download of " + count + " bytes to " + at + " leaves the " + target.buffer().capacity() + " bytes of host memory");
        }
        backend.check("download", Native.wb_download_async(backend.context(), target.address() + at, address() + offset, count));
    }

    /**
     * Floats of this block as a buffer onto itself, or null: the device's memory is not the host's. Not to be used after the
     * block is closed.
     */
    public FloatBuffer hostFloats(long offset, int count) {
        check("a view", offset * 4, (long) count * 4);
        return backend.isHost() ? new View(address() + offset * 4, (long) count * 4).asByteBuffer().asFloatBuffer() : null;
    }

    /** Memory that is not JavaCPP's, as its pointer. */
    private static final class View extends BytePointer {
        View(long address, long bytes) {
            super((Pointer) null);
            this.address = address;
            this.capacity = bytes;
            this.limit = bytes;
        }
    }

    /** Sets every byte to 0. */
    public void zero() {
        backend.zero(address(), bytes);
    }

    private void check(String op, long offset, long count) {
        if (offset < 0 || count < 0 || offset + count > bytes) {
            throw new WarpBertException(op + " of " + count + " bytes at " + offset + " leaves the " + bytes + " bytes of " + what);
        }
    }

    private static long addressOf(ByteBuffer direct) {
        if (!direct.isDirect()) {
            throw new WarpBertException("a host buffer for a device copy must be direct");
        }
        try (Pointer pointer = new BytePointer(direct)) {
            return pointer.address() + direct.position();
        }
    }

    @Override
    public void close() {
        if (address != 0) {
            long freed = address;
            address = 0;
            backend.free(freed, bytes);
        }
    }

    @Override
    public String toString() {
        return what + " (" + bytes + " bytes" + (address == 0 ? ", closed)" : ")");
    }
}
