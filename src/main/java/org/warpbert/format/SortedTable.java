package org.warpbert.format;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32C;
import org.warpbert.WarpBertException;

/**
 * Reads a sorted string table in LevelDB's format, which TensorFlow uses for the index of a checkpoint: blocks of
 * prefix-compressed entries, each with a one-byte compression type and a masked CRC-32C; an index block; a 48-byte
 * footer. All entries are read at once, as an index is a few kilobytes.
 */
final class SortedTable {
    private static final int FOOTER = 48;
    private static final int TRAILER = 5; // compression type, checksum
    private static final long MAGIC = 0xdb4775248b80fb57L;

    private final String file;
    private final ByteBuffer bytes;

    private SortedTable(String file, byte[] bytes) {
        this.file = file;
        this.bytes = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** All keys, as one char to a byte, and values, in the order of the table. */
    static Map<String, byte[]> read(String file, byte[] bytes) {
        SortedTable table = new SortedTable(file, bytes);
        try {
            return table.entries();
        } catch (InvalidProtocolBufferException e) {
            throw table.damaged("an entry is cut off or malformed", e);
        } catch (IOException e) {
            throw table.damaged(e.getMessage(), e);
        }
    }

    private Map<String, byte[]> entries() throws IOException {
        int end = bytes.capacity() - FOOTER;
        if (end < 0 || bytes.getLong(bytes.capacity() - 8) != MAGIC) throw damaged("it does not end as a TensorFlow checkpoint index does; it is cut off, or another kind of file", null);
        CodedInputStream footer = CodedInputStream.newInstance(bytes.array(), end, FOOTER);
        footer.readRawVarint64(); // the metaindex, offset and size, which TensorFlow leaves empty
        footer.readRawVarint64();
        Map<String, byte[]> entries = new LinkedHashMap<>();
        for (byte[] handle : block(footer).values())
            entries.putAll(block(CodedInputStream.newInstance(handle)));
        return entries;
    }

    /** The entries of the block whose offset and size come next in {@code handle}. */
    private Map<String, byte[]> block(CodedInputStream handle) throws IOException {
        long offset = handle.readRawVarint64();
        long size = handle.readRawVarint64();
        if (offset < 0 || size < 4 || size > bytes.capacity() || offset > bytes.capacity() - size - TRAILER)
            throw damaged("a block of " + size + " bytes at " + offset + " is outside the file", null);
        int start = (int) offset;
        int length = (int) size;
        if (mask(crc(bytes.duplicate().limit(start + length + 1).position(start))) != bytes.getInt(start + length + 1))
            throw damaged("the checksum of the block at byte " + start + " does not match", null);
        int type = bytes.get(start + length);
        if (type != 0) throw damaged("the block at byte " + start + " is compressed (type " + type + "), which TensorFlow's checkpoints are not", null);
        long restarts = bytes.getInt(start + length - 4);
        long contents = length - 4 - 4 * restarts; // the restart points serve binary search; a full scan needs none
        if (restarts < 0 || contents < 0) throw damaged("the block at byte " + start + " has " + restarts + " restart points", null);
        CodedInputStream in = CodedInputStream.newInstance(bytes.array(), start, (int) contents);
        Map<String, byte[]> entries = new LinkedHashMap<>();
        String key = "";
        while (!in.isAtEnd()) {
            int shared = in.readRawVarint32();
            int added = in.readRawVarint32();
            int valueSize = in.readRawVarint32();
            if (shared < 0 || shared > key.length()) throw damaged("a key shares " + shared + " bytes with one of " + key.length(), null);
            key = key.substring(0, shared) + new String(in.readRawBytes(added), StandardCharsets.ISO_8859_1);
            entries.put(key, in.readRawBytes(valueSize));
        }
        return entries;
    }

    /** CRC-32C of the bytes between position and limit. */
    static int crc(ByteBuffer bytes) {
        CRC32C crc = new CRC32C();
        crc.update(bytes);
        return (int) crc.getValue();
    }

    /** LevelDB's masking of a CRC that is stored beside what it covers. */
    static int mask(int crc) {
        return Integer.rotateRight(crc, 15) + 0xa282ead8;
    }

    private WarpBertException damaged(String what, Throwable cause) {
        return new WarpBertException("Cannot read " + file + ": " + what + ".", cause);
    }
}
