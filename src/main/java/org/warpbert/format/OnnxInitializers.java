package org.warpbert.format;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.WireFormat;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.warpbert.WarpBertException;

/**
 * The initialisers of an ONNX model, and the nodes of its graph, which say what anonymous initialisers are for. The
 * file is walked once, field by field (onnx.proto); the data stays where it is until it is read.
 */
public final class OnnxInitializers implements TensorSource {

    /** A node of the graph: what it is called, what it does, the names of its inputs and outputs, its epsilon (or NaN). */
    public record Node(String name, String op, List<String> inputs, List<String> outputs, float epsilon) {}

    /** TensorProto; {@code integers} are an int64 tensor's values where it is small, else null. */
    private record Tensor(String name, int type, long[] shape, long offset, long size, long[] integers) {}

    private static final int FLOAT = 1;
    private static final int INT64 = 7;
    private static final int FLOAT16 = 10;
    private static final int DOUBLE = 11;
    private static final int BFLOAT16 = 16;

    private final DataFile file;
    private final Map<String, Tensor> tensors = new LinkedHashMap<>(); // initialisers and the values of Constant nodes
    private final Map<String, long[]> shapes = new LinkedHashMap<>(); // initialisers of floats
    private final List<Node> nodes = new ArrayList<>();

    private OnnxInitializers(Path path) {
        file = new DataFile(path);
    }

    /** Opens an ONNX file and walks its graph; weights kept outside the file are an error. */
    public static OnnxInitializers open(Path path) {
        OnnxInitializers model = new OnnxInitializers(path);
        try {
            if (model.file.size > Integer.MAX_VALUE) throw model.damaged("it has over 2 GiB, more than an ONNX file can");
            model.readModel(CodedInputStream.newInstance(model.file.map(0, (int) model.file.size)));
            if (model.nodes.isEmpty()) throw model.damaged("it holds no graph; it is no ONNX model");
            return model;
        } catch (InvalidProtocolBufferException e) {
            model.close();
            throw new WarpBertException("Cannot read " + path + ": it is cut off, or no ONNX file (" + e.getMessage() + ").", e);
        } catch (IOException e) {
            model.close();
            throw new WarpBertException("Cannot read " + path + ": " + AtomicFile.reason(e) + ".", e);
        } catch (RuntimeException e) {
            model.close();
            throw e;
        }
    }

    private void readModel(CodedInputStream in) throws IOException {
        for (int tag; (tag = in.readTag()) != 0; ) {
            if (tag == message(7)) nested(in, this::readGraph);
            else in.skipField(tag);
        }
    }

    private void readGraph(CodedInputStream in) throws IOException {
        for (int tag; (tag = in.readTag()) != 0; ) {
            if (tag == message(1)) nested(in, this::readNode);
            else if (tag == message(5)) nested(in, i -> {
                Tensor tensor = readTensor(i);
                tensors.put(tensor.name, tensor);
                if (dtype(tensor.type) != null) shapes.put(tensor.name, tensor.shape);
            });
            else in.skipField(tag);
        }
    }

    private void readNode(CodedInputStream in) throws IOException {
        List<String> inputs = new ArrayList<>();
        List<String> outputs = new ArrayList<>();
        String[] nameAndOp = {"", ""};
        float[] epsilon = {Float.NaN};
        Tensor[] value = new Tensor[1];
        for (int tag; (tag = in.readTag()) != 0; ) {
            if (tag == message(1)) inputs.add(in.readString());
            else if (tag == message(2)) outputs.add(in.readString());
            else if (tag == message(3)) nameAndOp[0] = in.readString();
            else if (tag == message(4)) nameAndOp[1] = in.readString();
            else if (tag == message(5)) nested(in, i -> readAttribute(i, epsilon, value));
            else in.skipField(tag);
        }
        nodes.add(new Node(nameAndOp[0], nameAndOp[1], List.copyOf(inputs), List.copyOf(outputs), epsilon[0]));
        if (value[0] != null && nameAndOp[1].equals("Constant") && !outputs.isEmpty()) tensors.put(outputs.get(0), value[0]);
    }

    private void readAttribute(CodedInputStream in, float[] epsilon, Tensor[] value) throws IOException {
        String name = "";
        for (int tag; (tag = in.readTag()) != 0; ) {
            if (tag == message(1)) name = in.readString();
            else if (tag == (2 << 3 | WireFormat.WIRETYPE_FIXED32)) {
                float number = in.readFloat();
                if (name.equals("epsilon")) epsilon[0] = number;
            } else if (tag == message(5)) nested(in, i -> value[0] = readTensor(i));
            else in.skipField(tag);
        }
    }

    private Tensor readTensor(CodedInputStream in) throws IOException {
        String name = "";
        int type = 0;
        long offset = -1;
        long size = 0;
        List<Long> dimensions = new ArrayList<>();
        List<Long> integers = new ArrayList<>();
        for (int tag; (tag = in.readTag()) != 0; ) {
            switch (WireFormat.getTagFieldNumber(tag)) {
                case 1 -> readIntegers(in, tag, dimensions);
                case 2 -> type = in.readInt32();
                case 4, 9, 10 -> { // float_data, raw_data, double_data: packed little-endian elements all three
                    if (WireFormat.getTagWireType(tag) != WireFormat.WIRETYPE_LENGTH_DELIMITED || offset >= 0)
                        throw damaged("the data of tensor " + name + " is not in one piece");
                    size = in.readRawVarint32();
                    offset = in.getTotalBytesRead();
                    in.skipRawBytes((int) size);
                }
                case 7 -> readIntegers(in, tag, integers);
                case 8 -> name = in.readString();
                case 14 -> {
                    if (in.readEnum() != 0) throw damaged("tensor " + name + " is kept outside the file; export the model with its weights inside");
                }
                default -> in.skipField(tag);
            }
        }
        return new Tensor(name, type, longs(dimensions), offset, size, integers.isEmpty() ? null : longs(integers));
    }

    /** A repeated int64, packed or not. */
    private static void readIntegers(CodedInputStream in, int tag, List<Long> to) throws IOException {
        if (WireFormat.getTagWireType(tag) == WireFormat.WIRETYPE_VARINT) {
            to.add(in.readInt64());
            return;
        }
        int limit = in.pushLimit(in.readRawVarint32());
        while (in.getBytesUntilLimit() > 0) to.add(in.readInt64());
        in.popLimit(limit);
    }

    @FunctionalInterface
    private interface Reader {
        void read(CodedInputStream in) throws IOException;
    }

    private static void nested(CodedInputStream in, Reader reader) throws IOException {
        int limit = in.pushLimit(in.readRawVarint32());
        reader.read(in);
        in.checkLastTagWas(0);
        in.popLimit(limit);
    }

    private static int message(int field) {
        return field << 3 | WireFormat.WIRETYPE_LENGTH_DELIMITED;
    }

    private static long[] longs(List<Long> values) {
        return values.stream().mapToLong(Long::longValue).toArray();
    }

    private static DType dtype(int type) {
        return switch (type) {
            case FLOAT -> DType.F32;
            case FLOAT16 -> DType.F16;
            case DOUBLE -> DType.F64;
            case BFLOAT16 -> DType.BF16;
            default -> null;
        };
    }

    /** The nodes of the graph, in its order. */
    public List<Node> nodes() {
        return Collections.unmodifiableList(nodes);
    }

    /** The values of a small int64 constant or initialiser, or null where there is none of this name. */
    public long[] integers(String name) {
        Tensor tensor = tensors.get(name);
        if (tensor == null || tensor.type != INT64 || tensor.integers != null || tensor.offset < 0) return tensor == null ? null : tensor.integers;
        ByteBuffer raw = file.map(tensor.offset, (int) tensor.size);
        long[] values = new long[raw.remaining() / Long.BYTES];
        raw.asLongBuffer().get(values);
        return values;
    }

    /** The value of a constant or initialiser of one float, or NaN where there is none of this name. */
    public float scalar(String name) {
        Tensor tensor = tensors.get(name);
        if (tensor == null || dtype(tensor.type) == null || TensorSource.elements(tensor.shape) != 1) return Float.NaN;
        float[] value = new float[1];
        read(tensor, FloatBuffer.wrap(value));
        return value[0];
    }

    private void read(Tensor tensor, FloatBuffer dst) {
        DType type = dtype(tensor.type);
        long elements = TensorSource.elements(tensor.shape);
        if (tensor.offset < 0 && elements > 0 || tensor.size != elements * type.size)
            throw damaged("tensor " + tensor.name + " of shape " + Arrays.toString(tensor.shape) + " and type " + type + " has " + tensor.size + " bytes of data");
        file.read(tensor.name, tensor.offset, type, elements, dst);
    }

    private WarpBertException damaged(String what) {
        return new WarpBertException("Cannot read " + file.path + ": " + what + ".");
    }

    @Override
    public Map<String, long[]> shapes() {
        return Collections.unmodifiableMap(shapes);
    }

    @Override
    public void read(String name, FloatBuffer dst) {
        shape(name); // or its error
        read(tensors.get(name), dst);
    }

    @Override
    public String location() {
        return file.path.toString();
    }

    @Override
    public void close() {
        file.close();
    }
}
