package org.warpbert.benchmarks;

import com.google.protobuf.CodedOutputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.warpbert.reference.TorchBertConfig;

/**
 * Writes a BERT encoder as an ONNX file of ONNX Runtime's fused ops, as its transformer optimiser would leave it: the
 * strongest form that a peer can be given. Inputs as the published models have them, int64 [B, S]; output
 * {@code last_hidden_state} [B, S, H]. Fields are onnx.proto's.
 */
final class OnnxBertGraph {
    private static final int FLOAT = 1;
    private static final int INT32 = 6;
    private static final int INT64 = 7;
    private static final String CONTRIB = "com.microsoft";

    /** A weight as the graph holds it; values are made when they are written, [columns, rows] of a weight transposed. */
    private record Initializer(String name, long[] shape, List<String> sources, boolean transposed) {}

    private final TorchBertConfig config;
    private final Map<String, float[]> weights;
    private final List<byte[]> nodes = new ArrayList<>();
    private final List<Initializer> initializers = new ArrayList<>();

    private OnnxBertGraph(TorchBertConfig config, Map<String, float[]> weights) {
        this.config = config;
        this.weights = weights;
    }

    /** @param weights Hugging Face's names */
    static void write(Path file, TorchBertConfig config, Map<String, float[]> weights) throws IOException {
        new OnnxBertGraph(config, weights).write(file);
    }

    private void build() throws IOException {
        long h = config.hiddenSize();
        node("Cast", "", List.of("attention_mask"), "mask", attribute("to", INT32));
        table("embeddings.word_embeddings.weight", config.vocabSize());
        table("embeddings.position_embeddings.weight", config.maxPositions());
        table("embeddings.token_type_embeddings.weight", config.typeVocabSize());
        // positions are 0 .. S-1 in every row
        node("Shape", "", List.of("input_ids"), "shape", attribute("start", 1), attribute("end", 2));
        node("Squeeze", "", List.of("shape"), "length");
        node("Range", "", List.of("zero", "length", "one"), "positions");
        node("Gather", "", List.of("embeddings.word_embeddings.weight", "input_ids"), "words");
        node("Gather", "", List.of("embeddings.position_embeddings.weight", "positions"), "places");
        node("Gather", "", List.of("embeddings.token_type_embeddings.weight", "token_type_ids"), "types");
        node("Add", "", List.of("words", "places"), "words_and_places");
        node("Add", "", List.of("words_and_places", "types"), "embedded");
        vectors("embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias");
        node("LayerNormalization", "", List.of("embedded", "embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"), "x0", epsilon());
        for (int l = 0; l < config.layers(); l++) {
            String layer = "encoder.layer." + l + ".";
            String self = layer + "attention.self.";
            initializers.add(new Initializer(layer + "qkv", new long[] {h, 3 * h}, List.of(self + "query.weight", self + "key.weight", self + "value.weight"), true));
            initializers.add(new Initializer(layer + "qkv.bias", new long[] {3 * h}, List.of(self + "query.bias", self + "key.bias", self + "value.bias"), false));
            node("Attention", CONTRIB, List.of("x" + l, layer + "qkv", layer + "qkv.bias", "mask"), layer + "context", attribute("num_heads", config.heads()));
            String attention = layer + "attention.output.";
            product(layer + "context", attention + "dense", h, h, layer + "attended");
            skip(layer + "attended", "x" + l, attention, layer + "middle");
            product(layer + "middle", layer + "intermediate.dense", config.intermediateSize(), h, layer + "up");
            vectors(layer + "intermediate.dense.bias");
            node("BiasGelu", CONTRIB, List.of(layer + "up", layer + "intermediate.dense.bias"), layer + "activated");
            product(layer + "activated", layer + "output.dense", h, config.intermediateSize(), layer + "down");
            skip(layer + "down", layer + "middle", layer + "output.", l == config.layers() - 1 ? "last_hidden_state" : "x" + (l + 1));
        }
    }

    private void product(String x, String dense, long out, long in, String y) throws IOException {
        initializers.add(new Initializer(dense + ".weight", new long[] {in, out}, List.of(dense + ".weight"), true));
        node("MatMul", "", List.of(x, dense + ".weight"), y);
    }

    private void skip(String x, String residual, String part, String y) throws IOException {
        vectors(part + "LayerNorm.weight", part + "LayerNorm.bias", part + "dense.bias");
        node("SkipLayerNormalization", CONTRIB, List.of(x, residual, part + "LayerNorm.weight", part + "LayerNorm.bias", part + "dense.bias"), y, epsilon());
    }

    private void table(String name, long rows) {
        initializers.add(new Initializer(name, new long[] {rows, config.hiddenSize()}, List.of(name), false));
    }

    private void vectors(String... names) {
        for (String name : names) {
            initializers.add(new Initializer(name, new long[] {weights.get(name).length}, List.of(name), false));
        }
    }

    private byte[] epsilon() throws IOException {
        return message(out -> {
            out.writeString(1, "epsilon");
            out.writeFloat(2, (float) config.layerNormEps());
            out.writeEnum(20, 1);
        });
    }

    private static byte[] attribute(String name, long value) throws IOException {
        return message(out -> {
            out.writeString(1, name);
            out.writeInt64(3, value);
            out.writeEnum(20, 2);
        });
    }

    private void node(String op, String domain, List<String> inputs, String output, byte[]... attributes) throws IOException {
        nodes.add(message(out -> {
            for (String input : inputs) {
                out.writeString(1, input);
            }
            out.writeString(2, output);
            out.writeString(3, output);
            out.writeString(4, op);
            for (byte[] attribute : attributes) {
                out.writeByteArray(5, attribute);
            }
            out.writeString(7, domain);
        }));
    }

    private void write(Path file) throws IOException {
        build();
        byte[] rest = message(this::writeSmallParts);
        long size = rest.length;
        for (Initializer initializer : initializers) {
            size += CodedOutputStream.computeTagSize(5) + CodedOutputStream.computeUInt64SizeNoTag(size(initializer)) + size(initializer);
        }
        try (OutputStream stream = new BufferedOutputStream(Files.newOutputStream(file), 1 << 20)) {
            CodedOutputStream out = CodedOutputStream.newInstance(stream);
            out.writeInt64(1, 8); // ir_version
            out.writeByteArray(8, message(opset -> opset.writeInt64(2, 17)));
            out.writeByteArray(8, message(opset -> {
                opset.writeString(1, CONTRIB);
                opset.writeInt64(2, 1);
            }));
            out.writeTag(7, 2); // graph, of this many bytes
            out.writeUInt64NoTag(size);
            out.writeRawBytes(rest);
            for (Initializer initializer : initializers) {
                byte[] header = header(initializer);
                out.writeTag(5, 2);
                out.writeUInt64NoTag(size(initializer));
                out.writeRawBytes(header);
                out.writeTag(9, 2); // raw_data
                out.writeUInt64NoTag(bytes(initializer));
                out.writeRawBytes(values(initializer));
            }
            out.flush();
        }
    }

    private void writeSmallParts(CodedOutputStream out) throws IOException {
        for (byte[] node : nodes) {
            out.writeByteArray(1, node);
        }
        out.writeString(2, "bert");
        for (String scalar : List.of("zero", "one")) {
            out.writeByteArray(5, message(tensor -> {
                tensor.writeInt32(2, INT64);
                tensor.writeInt64(7, scalar.equals("one") ? 1 : 0);
                tensor.writeString(8, scalar);
            }));
        }
        for (String input : List.of("input_ids", "attention_mask", "token_type_ids")) {
            out.writeByteArray(11, value(input, INT64, "batch", "length"));
        }
        out.writeByteArray(12, value("last_hidden_state", FLOAT, "batch", "length", "hidden"));
    }

    private static byte[] value(String name, int type, String... dimensions) throws IOException {
        byte[] shape = message(out -> {
            for (String dimension : dimensions) {
                out.writeByteArray(1, message(d -> d.writeString(2, dimension)));
            }
        });
        byte[] tensor = message(out -> {
            out.writeInt32(1, type);
            out.writeByteArray(2, shape);
        });
        return message(out -> {
            out.writeString(1, name);
            out.writeByteArray(2, message(t -> t.writeByteArray(1, tensor)));
        });
    }

    private static byte[] header(Initializer initializer) throws IOException {
        return message(out -> {
            for (long extent : initializer.shape) {
                out.writeInt64(1, extent);
            }
            out.writeInt32(2, FLOAT);
            out.writeString(8, initializer.name);
        });
    }

    private static long bytes(Initializer initializer) {
        return 4 * Arrays.stream(initializer.shape).reduce(1, (a, b) -> a * b);
    }

    private static long size(Initializer initializer) throws IOException {
        return header(initializer).length + CodedOutputStream.computeTagSize(9)
                + CodedOutputStream.computeUInt64SizeNoTag(bytes(initializer)) + bytes(initializer);
    }

    /** Little-endian floats: sources side by side, each [out, in] turned to [in, out] where it is a product's. */
    private byte[] values(Initializer initializer) {
        ByteBuffer buffer = ByteBuffer.allocate(Math.toIntExact(bytes(initializer))).order(ByteOrder.LITTLE_ENDIAN);
        List<float[]> sources = initializer.sources.stream().map(weights::get).toList();
        if (!initializer.transposed) {
            sources.forEach(source -> {
                for (float x : source) {
                    buffer.putFloat(x);
                }
            });
            return buffer.array();
        }
        int in = (int) initializer.shape[0];
        for (int row = 0; row < in; row++) {
            for (float[] source : sources) {
                for (int column = 0; column < source.length / in; column++) {
                    buffer.putFloat(source[column * in + row]);
                }
            }
        }
        return buffer.array();
    }

    @FunctionalInterface
    private interface Fields {
        void write(CodedOutputStream out) throws IOException;
    }

    private static byte[] message(Fields fields) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        CodedOutputStream out = CodedOutputStream.newInstance(bytes);
        fields.write(out);
        out.flush();
        return bytes.toByteArray();
    }
}
