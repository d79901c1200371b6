package org.warpbert.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.WarpBertException;

class NpyWriterTest {
    @TempDir Path folder;

    /** Byte by byte after NumPy's NEP 1. */
    @Test
    void writesNumPysFormat() throws IOException {
        Path file = folder.resolve("new/x.npy");
        NpyWriter.write(file, 3, rows -> {
            rows.accept(new float[] {1, -2.5f, Float.NaN});
            rows.accept(new float[] {4, 5, 1e-40f});
        });
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        assertEquals("\u0093NUMPY\u0001\0", StandardCharsets.ISO_8859_1.decode(bytes.slice(0, 8)).toString());
        int length = bytes.getShort(8);
        assertEquals(0, (10 + length) % 64, "the data are aligned");
        String header = StandardCharsets.US_ASCII.decode(bytes.slice(10, length)).toString();
        assertEquals("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", header.strip());
        assertEquals('\n', header.charAt(length - 1));
        assertEquals(10 + length + 24, bytes.capacity());
        float[] read = new float[6];
        bytes.position(10 + length).slice().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(read);
        assertEquals(-2.5f, read[1]);
        assertEquals(Float.NaN, read[2]);
        assertEquals(1e-40f, read[5]);
        NpyWriter.write(file, 7, rows -> {});
        assertEquals(128, Files.size(file), "no rows are a matrix too");
    }

    @Test
    void aFailureLeavesTheOldFileAndNoOther() throws IOException {
        Path file = Files.writeString(folder.resolve("x.npy"), "old");
        assertThrows(WarpBertException.class, () -> NpyWriter.write(file, 3, rows -> {
            rows.accept(new float[3]);
            rows.accept(new float[2]);
        }));
        assertEquals("old", Files.readString(file));
        try (Stream<Path> files = Files.list(folder)) {
            assertEquals(1, files.count());
        }
    }
}
