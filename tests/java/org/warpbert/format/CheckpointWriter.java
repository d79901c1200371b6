package org.warpbert.format;

import com.google.protobuf.CodedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32C;

/** Writes a small TensorFlow checkpoint: blocks of a few prefix-compressed entries, tensors dealt out over the shards. */
final class CheckpointWriter {
    private static final int BLOCK = 3; // entries to a block
    private static final int RESTART = 2; // entries between restart points

    record Tensor(int dtype, long[] shape, byte[] bytes) {}

    private final ByteArrayOutputStream index = new ByteArrayOutputStream();

    static Tensor floats(long[] shape, float... values) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) bytes.putFloat(value);
        return new Tensor(1, shape, bytes.array());
    }

    /** Writes the index and {@code shards} data files of this prefix. */
    static void write(Path prefix, Map<String, Tensor> tensors, int shards) {
        try {
            new CheckpointWriter().run(prefix, new TreeMap<>(tensors), shards);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void run(Path prefix, TreeMap<String, Tensor> tensors, int shards) throws IOException {
        List<ByteArrayOutputStream> data = new ArrayList<>();
        for (int s = 0; s < shards; s++) data.add(new ByteArrayOutputStream());
        TreeMap<String, byte[]> table = new TreeMap<>();
        table.put("", proto(out -> out.writeInt32(1, shards)));
        int next = 0;
        for (Map.Entry<String, Tensor> entry : tensors.entrySet()) {
            Tensor tensor = entry.getValue();
            int shard = next++ % shards;
            long offset = data.get(shard).size();
            data.get(shard).writeBytes(tensor.bytes);
            byte[] shape = proto(out -> {
                for (long size : tensor.shape) out.writeByteArray(2, proto(dim -> dim.writeInt64(1, size)));
            });
            table.put(entry.getKey(), proto(out -> {
                out.writeEnum(1, tensor.dtype);
                out.writeByteArray(2, shape);
                out.writeInt32(3, shard);
                out.writeInt64(4, offset);
                out.writeInt64(5, tensor.bytes.length);
                out.writeFixed32(6, masked(tensor.bytes));
            }));
        }
        TreeMap<String, byte[]> handles = new TreeMap<>();
        TreeMap<String, byte[]> block = new TreeMap<>();
        for (Map.Entry<String, byte[]> entry : table.entrySet()) {
            block.put(entry.getKey(), entry.getValue());
            if (block.size() == BLOCK || entry.getKey().equals(table.lastKey())) {
                handles.put(entry.getKey(), writeBlock(block));
                block.clear();
            }
        }
        byte[] meta = writeBlock(new TreeMap<>());
        byte[] indexHandle = writeBlock(handles);
        ByteBuffer footer = ByteBuffer.allocate(48).order(ByteOrder.LITTLE_ENDIAN).put(meta).put(indexHandle);
        index.writeBytes(footer.putLong(40, 0xdb4775248b80fb57L).array());
        Files.createDirectories(prefix.toAbsolutePath().getParent());
        Files.write(prefix.resolveSibling(prefix.getFileName() + ".index"), index.toByteArray());
        for (int s = 0; s < shards; s++)
            Files.write(prefix.resolveSibling(String.format("%s.data-%05d-of-%05d", prefix.getFileName(), s, shards)), data.get(s).toByteArray());
    }

    /** Appends a block to the index and gives its handle. */
    private byte[] writeBlock(TreeMap<String, byte[]> entries) throws IOException {
        ByteArrayOutputStream block = new ByteArrayOutputStream();
        ByteBuffer restarts = ByteBuffer.allocate(4 * entries.size() + 8).order(ByteOrder.LITTLE_ENDIAN);
        if (entries.isEmpty()) restarts.putInt(0); // LevelDB's blocks have at least one
        String last = "";
        int n = 0;
        for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
            String key = entry.getKey();
            int shared = 0;
            if (n++ % RESTART == 0) restarts.putInt(block.size());
            else while (shared < Math.min(last.length(), key.length()) && last.charAt(shared) == key.charAt(shared)) shared++;
            int same = shared;
            byte[] rest = key.substring(shared).getBytes(StandardCharsets.US_ASCII);
            block.writeBytes(proto(out -> {
                out.writeUInt32NoTag(same);
                out.writeUInt32NoTag(rest.length);
                out.writeUInt32NoTag(entry.getValue().length);
                out.writeRawBytes(rest);
                out.writeRawBytes(entry.getValue());
            }));
            last = key;
        }
        restarts.putInt(restarts.position() / 4);
        block.write(restarts.array(), 0, restarts.position());
        int size = block.size();
        int offset = index.size();
        block.write(0); // not compressed
        index.writeBytes(block.toByteArray());
        index.writeBytes(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(masked(block.toByteArray())).array());
        return proto(out -> {
            out.writeUInt64NoTag(offset);
            out.writeUInt64NoTag(size);
        });
    }

    private static int masked(byte[] bytes) {
        CRC32C crc = new CRC32C();
        crc.update(bytes);
        long value = crc.getValue();
        return (int) ((value >>> 15 | value << 17) + 0xa282ead8L);
    }

    @FunctionalInterface
    private interface Fields {
        void write(CodedOutputStream out) throws IOException;
    }

    private static byte[] proto(Fields fields) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        CodedOutputStream out = CodedOutputStream.newInstance(bytes);
        fields.write(out);
        out.flush();
        return bytes.toByteArray();
    }
}
