package org.warpbert.format;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.WireFormat;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import org.warpbert.WarpBertException;

/**
 * A TensorFlow checkpoint (tensor bundle): {@code PREFIX.index}, a sorted table of where each variable is, and
 * {@code PREFIX.data-00000-of-0000N}, the shards with their bytes. Names and shapes are TensorFlow's.
 */
public final class TensorBundle implements TensorSource {

    /** BundleEntryProto of tensorflow/core/protobuf/tensor_bundle.proto. */
    private record Entry(DType type, long[] shape, int shard, long offset, long size, int maskedCrc) {}

    private final Path index;
    private final Map<String, Entry> entries = new LinkedHashMap<>();
    private final Map<String, long[]> shapes = new LinkedHashMap<>();
    private final Map<Integer, DataFile> shards = new LinkedHashMap<>();

    private TensorBundle(Path index) {
        this.index = index;
    }

    /**
     * Opens the checkpoint of this prefix, for example {@code uncased_L-12_H-768_A-12/bert_model.ckpt}. The index is
     * checked against its checksums and the sizes of the shards; each tensor against its own when it is read.
     */
    public static TensorBundle open(Path prefix) {
        Path index = prefix.resolveSibling(prefix.getFileName() + ".index");
        TensorBundle bundle = new TensorBundle(index);
        try {
            Map<String, byte[]> table = SortedTable.read(index.toString(), Files.readAllBytes(index));
            byte[] header = table.remove("");
            if (header == null) throw bundle.damaged("it has no header entry");
            int count = bundle.shardCount(header);
            for (Map.Entry<String, byte[]> entry : table.entrySet())
                bundle.add(new String(entry.getKey().getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8), entry.getValue(), count, prefix);
            return bundle;
        } catch (IOException e) {
            bundle.close();
            throw new WarpBertException("Cannot read " + index + ": " + AtomicFile.reason(e) + ".", e);
        } catch (RuntimeException e) {
            bundle.close();
            throw e;
        }
    }

    private int shardCount(byte[] header) throws IOException {
        CodedInputStream in = CodedInputStream.newInstance(header);
        int count = 0;
        for (int tag; (tag = in.readTag()) != 0; ) {
            switch (WireFormat.getTagFieldNumber(tag)) {
                case 1 -> count = in.readInt32();
                case 2 -> {
                    if (in.readEnum() != 0) throw damaged("its tensors are big-endian");
                }
                default -> in.skipField(tag);
            }
        }
        return count;
    }

    private void add(String name, byte[] proto, int shardCount, Path prefix) throws IOException {
        CodedInputStream in = CodedInputStream.newInstance(proto);
        int dtype = 0;
        int shard = 0;
        int crc = 0;
        long offset = 0;
        long size = 0;
        long[] shape = {};
        for (int tag; (tag = in.readTag()) != 0; ) {
            switch (WireFormat.getTagFieldNumber(tag)) {
                case 1 -> dtype = in.readEnum();
                case 2 -> shape = shape(in.readByteBuffer().array());
                case 3 -> shard = in.readInt32();
                case 4 -> offset = in.readInt64();
                case 5 -> size = in.readInt64();
                case 6 -> crc = in.readFixed32();
                case 7 -> throw damaged("variable " + name + " is stored in slices; save the checkpoint without a partitioner");
                default -> in.skipField(tag);
            }
        }
        DType type = switch (dtype) {
            case 1 -> DType.F32;
            case 2 -> DType.F64;
            case 14 -> DType.BF16;
            case 19 -> DType.F16;
            default -> null; // counters and strings
        };
        if (type == null) return;
        if (shard < 0 || shard >= shardCount) throw damaged("variable " + name + " is said to be in shard " + shard + " of " + shardCount);
        int number = shard;
        DataFile file = shards.computeIfAbsent(shard, s -> new DataFile(prefix.resolveSibling(String.format("%s.data-%05d-of-%05d", prefix.getFileName(), number, shardCount))));
        try {
            if (Math.multiplyExact(TensorSource.elements(shape), (long) type.size) != size || offset < 0) throw new ArithmeticException();
        } catch (ArithmeticException e) {
            throw damaged("variable " + name + " of shape " + Arrays.toString(shape) + " and type " + type + " cannot have " + size + " bytes at " + offset);
        }
        if (offset > file.size - size)
            throw new WarpBertException(file.path + " is truncated: variable " + name + " ends at byte " + (offset + size) + ", but it has " + file.size + ".");
        entries.put(name, new Entry(type, shape, shard, offset, size, crc));
        shapes.put(name, shape);
    }

    /** TensorShapeProto: repeated dim, each with its size. */
    private long[] shape(byte[] proto) throws IOException {
        CodedInputStream in = CodedInputStream.newInstance(proto);
        List<Long> sizes = new ArrayList<>();
        for (int tag; (tag = in.readTag()) != 0; ) {
            if (WireFormat.getTagFieldNumber(tag) != 2) {
                in.skipField(tag);
                continue;
            }
            int limit = in.pushLimit(in.readRawVarint32());
            long size = 0;
            for (int field; (field = in.readTag()) != 0; ) {
                if (WireFormat.getTagFieldNumber(field) == 1) size = in.readInt64();
                else in.skipField(field);
            }
            in.popLimit(limit);
            if (size < 0) throw damaged("a dimension is " + size);
            sizes.add(size);
        }
        return sizes.stream().mapToLong(Long::longValue).toArray();
    }

    private WarpBertException damaged(String what) {
        return new WarpBertException("Cannot read " + index + ": " + what + ".");
    }

    @Override
    public Map<String, long[]> shapes() {
        return Collections.unmodifiableMap(shapes);
    }

    @Override
    public void read(String name, FloatBuffer dst) {
        long elements = TensorSource.elements(shape(name));
        Entry entry = entries.get(name);
        DataFile file = shards.get(entry.shard);
        CRC32C crc = new CRC32C();
        file.chunks(entry.offset, entry.size, crc::update);
        if (SortedTable.mask((int) crc.getValue()) != entry.maskedCrc)
            throw new WarpBertException("Variable " + name + " in " + file.path + " is damaged: its checksum does not match. Download or copy it again.");
        file.read(name, entry.offset, entry.type, elements, dst);
    }

    @Override
    public String location() {
        return index.toString();
    }

    @Override
    public void close() {
        shards.values().forEach(DataFile::close);
    }
}
