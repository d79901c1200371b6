package org.warpbert.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.WarpBertException;

class SafetensorsTest {
    @TempDir
    Path folder;

    /** A file made byte by byte, apart from the writer under test. */
    static Path raw(Path file, String header, byte... data) throws IOException {
        byte[] text = header.getBytes(StandardCharsets.UTF_8);
        return Files.write(file, ByteBuffer.allocate(8 + text.length + data.length).order(ByteOrder.LITTLE_ENDIAN).putLong(text.length).put(text).put(data).array());
    }

    static float[] floats(TensorSource source, String name) {
        FloatBuffer buffer = FloatBuffer.allocate((int) TensorSource.elements(source.shape(name)));
        source.read(name, buffer);
        assertFalse(buffer.hasRemaining());
        return buffer.array();
    }

    private static String error(Path path) {
        return assertThrows(WarpBertException.class, () -> Safetensors.open(path).close()).getMessage();
    }

    @Test
    void roundTripKeepsOrderNamesShapesAndBits() {
        Map<String, long[]> shapes = new LinkedHashMap<>();
        shapes.put("z.weight", new long[] {3, 700_001}); // longer than the writer's chunk
        shapes.put("a \"quoted\" 가중치", new long[] {2, 1, 2});
        shapes.put("scalar", new long[] {});
        shapes.put("empty", new long[] {0, 5});
        Random random = new Random(1);
        Map<String, float[]> values = new LinkedHashMap<>();
        shapes.forEach((name, shape) -> {
            float[] array = new float[(int) TensorSource.elements(shape)];
            for (int i = 0; i < array.length; i++) array[i] = Float.intBitsToFloat(random.nextInt());
            values.put(name, array);
        });
        Path file = folder.resolve("new/model.safetensors");
        SafetensorsWriter.write(file, shapes, name -> FloatBuffer.wrap(values.get(name)));
        try (TensorSource source = Safetensors.open(file.getParent())) {
            assertEquals(List.copyOf(shapes.keySet()), List.copyOf(source.shapes().keySet()));
            shapes.forEach((name, shape) -> {
                assertArrayEquals(shape, source.shape(name));
                assertArrayEquals(bits(values.get(name)), bits(floats(source, name)), name);
            });
        }
    }

    private static int[] bits(float[] values) {
        int[] bits = new int[values.length];
        for (int i = 0; i < bits.length; i++) bits[i] = Float.floatToRawIntBits(values[i]);
        return bits;
    }

    /** The layout of the format's own description: length, JSON padded with blanks to a multiple of 8, data. */
    @Test
    void writesTheDocumentedLayout() throws IOException {
        Path file = folder.resolve("m.safetensors");
        for (String name : List.of("w", "ww", "www", "wwww", "é")) {
            SafetensorsWriter.write(file, Map.of(name, new long[] {2}), n -> FloatBuffer.wrap(new float[] {1.5f, -2f}));
            ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
            int length = (int) bytes.getLong();
            assertEquals(0, length % 8);
            JsonNode header = new ObjectMapper().readTree(new String(bytes.array(), 8, length, StandardCharsets.UTF_8));
            assertEquals("{\"format\":\"pt\"}", header.get("__metadata__").toString());
            assertEquals("{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}", header.get(name).toString());
            assertEquals(8 + length + 8, bytes.capacity());
            assertEquals(1.5f, bytes.getFloat(8 + length));
            assertEquals(-2f, bytes.getFloat(8 + length + 4));
        }
    }

    @Test
    void halfPrecisionDoublesAndIntegers() throws IOException {
        Path file = raw(folder.resolve("m.safetensors"), """
                {"half":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"bf":{"dtype":"BF16","shape":[1,1],"data_offsets":[4,6]},
                 "position_ids":{"dtype":"I64","shape":[1],"data_offsets":[6,14]},"double":{"dtype":"F64","shape":[1],"data_offsets":[14,22]}}""",
                (byte) 0x01, (byte) 0x00, (byte) 0x00, (byte) 0xfc, // smallest subnormal half, minus infinity
                (byte) 0xc0, (byte) 0x3f, // bfloat 1.5
                (byte) 1, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0,
                (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0xd0, (byte) 0x3f); // 0.25
        try (TensorSource source = Safetensors.open(file)) {
            assertEquals(List.of("half", "bf", "double"), List.copyOf(source.shapes().keySet()));
            assertArrayEquals(new float[] {0x1p-24f, Float.NEGATIVE_INFINITY}, floats(source, "half"));
            assertArrayEquals(new float[] {1.5f}, floats(source, "bf"));
            assertArrayEquals(new float[] {0.25f}, floats(source, "double"));
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]},'b':{'dtype':'F32','shape':[2],'data_offsets':[4,12]}} | 12 | tensors a and b overlap at data byte 4",
        "{'a':{'dtype':'F32','shape':[1],'data_offsets':[0,4]},'b':{'dtype':'F32','shape':[1],'data_offsets':[8,12]}} | 12 | hole of 4 bytes before tensor b",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,4]}}                  | 4  | needs 8 bytes, but its data_offsets span 4",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[8,0]}}                  | 8  | tensor a has data_offsets [8,0]",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0]}}                    | 8  | tensor a has data_offsets [0]",
        "{'a':{'dtype':'F32','shape':[-2],'data_offsets':[0,8]}}                 | 8  | must be natural numbers",
        "{'a':{'dtype':'F32','shape':[2.0],'data_offsets':[0,8]}}                | 8  | must be natural numbers",
        "{'a':{'dtype':'F32','shape':2,'data_offsets':[0,8]}}                    | 8  | tensor a has no array 'shape'",
        "{'a':{'dtype':'F32','shape':[4294967296,4294967296],'data_offsets':[0,8]}} | 8 | impossible shape",
        "{'a':{'dtype':'F31','shape':[2],'data_offsets':[0,8]}}                  | 8  | unknown dtype 'F31'",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}}                  | 7  | truncated: tensor a ends at data byte 8, but the file holds only 7",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}}                  | 9  | 1 bytes stand after the last tensor, a",
        "{'a':{'dtype':'F32','shape':[0],'data_offsets':[0,0]},'a':{'dtype':'F32','shape':[0],'data_offsets':[0,0]}} | 0 | Duplicate field 'a'",
        "{'a':{'dtype':'F32','shape':[0],'data_offsets':[0,0]}} {}               | 0  | not valid JSON",
        "[1]                                                                     | 0  | not a JSON object",
        "{'a':3}                                                                 | 0  | unknown dtype ''",
    })
    void damagedHeadersAreNamed(String header, int dataBytes, String message) throws IOException {
        String text = error(raw(folder.resolve("m.safetensors"), header.replace('\'', '"'), new byte[dataBytes]));
        assertTrue(text.contains(message) && text.contains("m.safetensors"), text);
    }

    @Test
    void whatIsNoSafetensorsFileIsNamed() throws IOException {
        Path file = folder.resolve("m.safetensors");
        assertTrue(error(file).contains("no such file"));
        Files.write(file, new byte[3]);
        assertTrue(error(file).contains("too few"));
        Files.writeString(file, "version https://git-lfs.example/spec/v1"); // a pointer file, committed by mistake
        assertTrue(error(file).contains("no safetensors file"));
        Files.write(file, ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN).putLong(1000).array());
        assertTrue(error(file).contains("truncated"));
        byte[] notUtf8 = "{\"\u00ff\u00fe\":1}".getBytes(StandardCharsets.ISO_8859_1);
        Files.write(file, ByteBuffer.allocate(8 + notUtf8.length).order(ByteOrder.LITTLE_ENDIAN).putLong(notUtf8.length).put(notUtf8).array());
        assertTrue(error(file).contains("UTF-8"), error(file));
    }

    @Test
    void readsAskedForWronglyAreNamed() throws IOException {
        Path file = raw(folder.resolve("m.safetensors"), "{\"a.weight\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", new byte[8]);
        try (TensorSource source = Safetensors.open(file)) {
            String absent = assertThrows(WarpBertException.class, () -> source.read("b.weight", FloatBuffer.allocate(2))).getMessage();
            assertTrue(absent.contains("no tensor b.weight") && absent.contains("a.weight") && absent.contains(file.toString()), absent);
            String small = assertThrows(WarpBertException.class, () -> source.read("a.weight", FloatBuffer.allocate(1))).getMessage();
            assertTrue(small.contains("2 elements") && small.contains("room for 1"), small);
            String shape = assertThrows(WarpBertException.class, () -> source.read("a.weight", new long[] {1, 2}, FloatBuffer.allocate(2))).getMessage();
            assertTrue(shape.contains("[2]") && shape.contains("[1, 2]"), shape);
            FloatBuffer larger = FloatBuffer.allocate(5).position(1);
            source.read("a.weight", new long[] {2}, larger);
            assertEquals(3, larger.position());
        }
    }

    @Test
    void shardsReadAsOne() throws IOException {
        SafetensorsWriter.write(folder.resolve("model-00001-of-00002.safetensors"), Map.of("a", new long[] {1}), n -> FloatBuffer.wrap(new float[] {1}));
        SafetensorsWriter.write(folder.resolve("model-00002-of-00002.safetensors"), Map.of("b", new long[] {1}), n -> FloatBuffer.wrap(new float[] {2}));
        Path index = folder.resolve(Safetensors.INDEX);
        String json = "{\"metadata\":{},\"weight_map\":{\"b\":\"model-00002-of-00002.safetensors\",\"a\":\"model-00001-of-00002.safetensors\"}}";
        Files.writeString(index, json);
        try (TensorSource source = Safetensors.open(folder)) {
            assertEquals(List.of("b", "a"), List.copyOf(source.shapes().keySet()));
            assertArrayEquals(new float[] {1}, floats(source, "a"));
            assertArrayEquals(new float[] {2}, floats(source, "b"));
            assertThrows(WarpBertException.class, () -> source.read("c", FloatBuffer.allocate(1)));
        }
        Files.writeString(index, json.replace("\"a\"", "\"c\""));
        assertTrue(error(folder).contains("no tensor c in"), error(folder));
        Files.writeString(index, json.replace("model-00001", "model-00003"));
        assertTrue(error(folder).contains("model-00003-of-00002.safetensors: there is no such file"), error(folder));
        Files.writeString(index, json.replace("model-00001", "../model-00001"));
        assertTrue(error(folder).contains("no .safetensors file of this folder"), error(folder));
        Files.writeString(index, "{}");
        assertTrue(error(folder).contains("no weight_map"), error(folder));
    }

    @Test
    void aFailedWriteLeavesTheOldFileAndNothingElse() throws IOException {
        Path file = folder.resolve("m.safetensors");
        SafetensorsWriter.write(file, Map.of("a", new long[] {1}), n -> FloatBuffer.wrap(new float[] {1}));
        byte[] before = Files.readAllBytes(file);
        String text = assertThrows(WarpBertException.class,
                () -> SafetensorsWriter.write(file, Map.of("a", new long[] {3, 2}), n -> FloatBuffer.allocate(5))).getMessage();
        assertTrue(text.contains("[3, 2]") && text.contains("5 elements"), text);
        assertThrows(IllegalStateException.class, () -> SafetensorsWriter.write(file, Map.of("a", new long[] {1}), n -> {
            throw new IllegalStateException("out of luck");
        }));
        assertArrayEquals(before, Files.readAllBytes(file));
        try (Stream<Path> files = Files.list(folder)) {
            assertEquals(List.of(file), files.toList());
        }
    }

    /** A file of 3 GiB (sparse, so it takes no room): offsets beyond an int. */
    @Test
    void tensorsBeyondTwoGibibytesAreRead() throws IOException {
        long large = 3L << 28; // floats
        String header = "{\"large\":{\"dtype\":\"F32\",\"shape\":[3,268435456],\"data_offsets\":[0," + large * 4 + "]},"
                + "\"last\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[" + large * 4 + "," + (large * 4 + 4) + "]}}";
        Path file = raw(folder.resolve("large.safetensors"), header);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.write(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(6.25f).flip(), Files.size(file) + large * 4);
        }
        try (TensorSource source = Safetensors.open(file)) {
            assertArrayEquals(new float[] {6.25f}, floats(source, "last"));
            assertEquals(large, TensorSource.elements(source.shape("large")));
        }
    }

    /** Whatever bytes are damaged, opening and reading either works or says so in our own exception. */
    @Test
    void randomDamageOnlyEverGivesOurException() throws IOException {
        Path file = folder.resolve("m.safetensors");
        Map<String, long[]> shapes = new LinkedHashMap<>();
        for (int i = 0; i < 4; i++) shapes.put("encoder.layer." + i + ".weight", new long[] {2, 3});
        SafetensorsWriter.write(file, shapes, n -> FloatBuffer.wrap(new float[] {1, 2, 3, 4, 5, 6}));
        byte[] good = Files.readAllBytes(file);
        int headerEnd = 8 + (int) ByteBuffer.wrap(good).order(ByteOrder.LITTLE_ENDIAN).getLong();
        String[] splices = {"-1", "18446744073709551616", "1e9", "null", "[]", "{}", "\"", "[", "9223372036854775807", ",", "\\u0000", "\u00ff"};
        Random random = new Random(20);
        int refused = 0;
        for (int round = 0; round < 4000; round++) {
            byte[] bad = good.clone();
            switch (random.nextInt(3)) {
                case 0 -> bad = Arrays.copyOf(bad, random.nextInt(bad.length));
                case 1 -> {
                    for (int n = 1 + random.nextInt(4); n > 0; n--) bad[random.nextInt(headerEnd)] = (byte) random.nextInt(256);
                }
                default -> {
                    byte[] splice = splices[random.nextInt(splices.length)].getBytes(StandardCharsets.ISO_8859_1);
                    System.arraycopy(splice, 0, bad, 8 + random.nextInt(headerEnd - 8 - splice.length), splice.length);
                }
            }
            Files.delete(file); // ext4 syncs a file that is truncated and rewritten
            Files.write(file, bad);
            try (TensorSource source = Safetensors.open(file)) {
                for (String name : source.shapes().keySet()) floats(source, name);
            } catch (WarpBertException e) {
                refused++;
            }
        }
        assertTrue(refused > 3000, "only " + refused + " of 4000 damaged files were refused");
    }
}
