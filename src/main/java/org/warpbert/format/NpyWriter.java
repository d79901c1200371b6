package org.warpbert.format;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.warpbert.WarpBertException;

/** Writes a float32 matrix as NumPy's {@code .npy} (format 1.0), row by row, atomically. */
public final class NpyWriter {
    private static final int HEADER = 128; // bytes: a multiple of 64, with room for any shape
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};

    private final FileChannel channel;
    private final ByteBuffer row;
    private long rows;

    private NpyWriter(FileChannel channel, int columns) {
        this.channel = channel;
        this.row = ByteBuffer.allocate(Math.multiplyExact(columns, Float.BYTES)).order(ByteOrder.LITTLE_ENDIAN);
    }

    /**
     * Writes {@code [rows, columns]}.
     *
     * @param content hands over each row in turn; how many there are need not be known before
     */
    public static void write(Path file, int columns, Consumer<Consumer<float[]>> content) {
        AtomicFile.write(file, channel -> {
            NpyWriter writer = new NpyWriter(channel, columns);
            try {
                channel.position(HEADER);
                content.accept(writer::add);
                channel.position(0);
                AtomicFile.writeFully(channel, ByteBuffer.wrap(header(writer.rows, columns)));
            } catch (UncheckedIOException e) {
                throw e.getCause();
            }
        });
    }

    private void add(float[] values) {
        if (values.length * Float.BYTES != row.capacity()) {
            throw new WarpBertException("a row of " + values.length + " values does not fit a matrix of " + row.capacity() / Float.BYTES + " columns");
        }
        try {
            row.clear().asFloatBuffer().put(values);
            AtomicFile.writeFully(channel, row);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        rows++;
    }

    private static byte[] header(long rows, int columns) {
        String shape = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + rows + ", " + columns + "), }";
        ByteBuffer header = ByteBuffer.allocate(HEADER).order(ByteOrder.LITTLE_ENDIAN);
        int text = HEADER - MAGIC.length - Short.BYTES;
        header.put(MAGIC).putShort((short) text).put((shape + " ".repeat(text - 1 - shape.length()) + "\n").getBytes(StandardCharsets.US_ASCII));
        return header.array();
    }
}
