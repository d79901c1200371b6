package org.warpbert.format;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.warpbert.WarpBertException;

/** A file of tensors: bounded reads of any of its regions, several threads at a time; larger than 2 GiB is fine. */
final class DataFile implements AutoCloseable {
    private static final int CHUNK = 1 << 20; // bytes read at a time; a multiple of every element size
    private static final ThreadLocal<ByteBuffer> BUFFER = ThreadLocal.withInitial(() -> ByteBuffer.allocateDirect(CHUNK).order(ByteOrder.LITTLE_ENDIAN));

    final Path path;
    final long size;
    private final FileChannel channel;

    DataFile(Path path) {
        this.path = path;
        try {
            channel = FileChannel.open(path, StandardOpenOption.READ);
            size = channel.size();
        } catch (IOException e) {
            throw unreadable(e);
        }
    }

    /** A read-only little-endian view of these bytes. */
    ByteBuffer map(long offset, int length) {
        require(offset, length);
        try {
            return channel.map(FileChannel.MapMode.READ_ONLY, offset, length).order(ByteOrder.LITTLE_ENDIAN);
        } catch (IOException e) {
            throw unreadable(e);
        }
    }

    /** Gets each chunk of a region in turn. */
    @FunctionalInterface
    interface ChunkReader {
        void read(ByteBuffer chunk);
    }

    /**
     * Passes a region, of whole elements, in chunks that end on element boundaries. They are copied through a buffer: pages of a
     * mapped file would count as the process's memory, beside the tensors that are made of them, until garbage is collected.
     */
    void chunks(long offset, long length, ChunkReader reader) {
        require(offset, length);
        ByteBuffer chunk = BUFFER.get();
        for (long done = 0; done < length; ) {
            chunk.clear().limit((int) Math.min(CHUNK, length - done));
            while (chunk.hasRemaining()) {
                if (read(chunk, offset + done + chunk.position()) < 0) throw truncated(offset, length);
            }
            done += chunk.limit();
            reader.read(chunk.flip());
        }
    }

    private int read(ByteBuffer chunk, long position) {
        try {
            return channel.read(chunk, position);
        } catch (IOException e) {
            throw unreadable(e);
        }
    }

    private void require(long offset, long length) {
        if (offset < 0 || length < 0 || offset > size - length) throw truncated(offset, length);
    }

    private WarpBertException truncated(long offset, long length) {
        return new WarpBertException(path + " is truncated: bytes " + offset + " to " + (offset + length) + " are needed, but it has " + size + ".");
    }

    /** Reads {@code elements} of this type from {@code offset} as float32. */
    void read(String tensor, long offset, DType type, long elements, FloatBuffer dst) {
        if (dst.remaining() < elements)
            throw new WarpBertException("Tensor " + tensor + " in " + path + " has " + elements + " elements, but the buffer to read it to has room for " + dst.remaining() + ".");
        chunks(offset, elements * type.size, chunk -> type.toFloat(chunk, dst));
    }

    private WarpBertException unreadable(IOException e) {
        return new WarpBertException("Cannot read " + path + ": " + AtomicFile.reason(e) + ".", e);
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e); // a read-only channel has nothing left to write
        }
    }
}
