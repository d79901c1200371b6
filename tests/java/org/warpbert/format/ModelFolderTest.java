package org.warpbert.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.warpbert.format.SafetensorsTest.floats;

import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.WarpBertException;
import org.warpbert.model.BertConfig;

class ModelFolderTest {
    private static final List<String> VOCABULARY = List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "한", "##a");
    private static final BertConfig CONFIG = BertConfig.ofSizes(7, 128, 1, 2, 3, 5, 2);

    @TempDir
    Path folder;

    /** A one-layer model in Google's names and shapes; element i of a variable is i, so a transposition shows. */
    private static Map<String, CheckpointWriter.Tensor> google(String scope) {
        Map<String, CheckpointWriter.Tensor> tensors = new TreeMap<>();
        Map<String, long[]> shapes = new LinkedHashMap<>();
        shapes.put("embeddings/word_embeddings", new long[] {7, 128});
        shapes.put("embeddings/position_embeddings", new long[] {5, 128});
        shapes.put("embeddings/token_type_embeddings", new long[] {2, 128});
        shapes.put("encoder/layer_0/attention/self/query/kernel", new long[] {128, 128});
        shapes.put("encoder/layer_0/intermediate/dense/kernel", new long[] {128, 3}); // [in, out]
        shapes.put("encoder/layer_0/intermediate/dense/bias", new long[] {3});
        shapes.put("encoder/layer_0/intermediate/dense/bias/adam_m", new long[] {3});
        shapes.forEach((name, shape) -> {
            float[] values = new float[(int) TensorSource.elements(shape)];
            for (int i = 0; i < values.length; i++) values[i] = i;
            tensors.put(scope + "bert/" + name, CheckpointWriter.floats(shape, values));
        });
        return tensors;
    }

    private void assertGoogle(ModelFolder model) {
        assertEquals(CONFIG, model.config());
        assertEquals(VOCABULARY, model.vocabulary());
        assertEquals(6, model.tensors().shapes().size());
        assertArrayEquals(new long[] {3, 128}, model.tensors().shape("encoder.layer.0.intermediate.dense.weight"));
        float[] weight = floats(model.tensors(), "encoder.layer.0.intermediate.dense.weight");
        for (int out = 0; out < 3; out++)
            for (int in = 0; in < 128; in++) assertEquals(in * 3 + out, weight[out * 128 + in]);
        float[] square = floats(model.tensors(), "encoder.layer.0.attention.self.query.weight");
        for (int out = 0; out < 128; out++)
            for (int in = 0; in < 128; in++) assertEquals(in * 128 + out, square[out * 128 + in]);
        assertEquals(127, floats(model.tensors(), "embeddings.word_embeddings.weight")[127]);
    }

    private static void vocabulary(Path file, String... extra) throws IOException {
        Files.createDirectories(file.getParent());
        Files.writeString(file, String.join("\n", VOCABULARY) + "\n" + String.join("\n", extra));
    }

    private String error() {
        return assertThrows(WarpBertException.class, () -> ModelFolder.open(folder).close()).getMessage();
    }

    @Test
    void googlesCheckpoint() throws IOException {
        CheckpointWriter.write(folder.resolve("bert_model.ckpt"), google(""), 1);
        CONFIG.write(folder.resolve("bert_config.json"));
        vocabulary(folder.resolve("vocab.txt"));
        try (ModelFolder model = ModelFolder.open(folder)) {
            assertGoogle(model);
            assertTrue(model.lowerCase()); // no upper-case Latin piece
        }
    }

    @Test
    void easyBertsSavedModelHasItsSizesFromShapes() throws IOException {
        CheckpointWriter.write(folder.resolve("variables/variables"), google("module/"), 1);
        vocabulary(folder.resolve("assets/vocab.txt"));
        Files.writeString(folder.resolve("assets/model.json"), "{\"doLowerCase\": false}");
        try (ModelFolder model = ModelFolder.open(folder)) {
            assertGoogle(model);
            assertFalse(model.lowerCase());
        }
    }

    /** Converting and opening again gives the same model, bit for bit. */
    @Test
    void copiedToHuggingFacesLayout() throws IOException {
        Map<String, CheckpointWriter.Tensor> tensors = google("");
        tensors.put("cls/predictions/output_bias", CheckpointWriter.floats(new long[] {7}, 1, 2, 3, 4, 5, 6, 7));
        CheckpointWriter.write(folder.resolve("bert_model.ckpt"), tensors, 2);
        CONFIG.write(folder.resolve("bert_config.json"));
        vocabulary(folder.resolve("vocab.txt"));
        Path copy = folder.resolve("copy");
        try (ModelFolder model = ModelFolder.open(folder)) {
            ModelWriter.copy(model, copy, (done, total) -> assertTrue(done <= total));
            try (ModelFolder again = ModelFolder.open(copy); TensorSource file = Safetensors.open(copy)) {
                assertEquals(model.config().withUse(new BertConfig.Use("BertForMaskedLM", null, null)), again.config());
                assertEquals(model.vocabulary(), again.vocabulary());
                assertEquals(model.lowerCase(), again.lowerCase());
                assertEquals(model.tensors().shapes().keySet(), again.tensors().shapes().keySet());
                for (String name : model.tensors().shapes().keySet()) {
                    assertArrayEquals(model.tensors().shape(name), again.tensors().shape(name));
                    assertArrayEquals(floats(model.tensors(), name), floats(again.tensors(), name));
                }
                assertTrue(file.contains("bert.embeddings.word_embeddings.weight") && file.contains("cls.predictions.bias"));
            }
        }
        assertTrue(Files.readString(copy.resolve("config.json")).contains("BertForMaskedLM"));
        Files.delete(copy.resolve("vocab.txt"));
        try (ModelFolder fromTokenizerJson = ModelFolder.open(copy)) {
            assertEquals(VOCABULARY, fromTokenizerJson.vocabulary());
        }
    }

    private void huggingFace(Map<String, long[]> shapes, float decoder) {
        CONFIG.write(folder.resolve("config.json"));
        SafetensorsWriter.write(folder.resolve(Safetensors.FILE), shapes, name -> {
            float[] values = new float[(int) TensorSource.elements(shapes.get(name))];
            Arrays.fill(values, name.equals("cls.predictions.decoder.weight") ? decoder : 1);
            return FloatBuffer.wrap(values);
        });
    }

    @Test
    void tiedDecoderAndOldNames() throws IOException {
        Map<String, long[]> shapes = new LinkedHashMap<>();
        shapes.put("bert.embeddings.word_embeddings.weight", new long[] {7, 128});
        shapes.put("bert.embeddings.LayerNorm.gamma", new long[] {128});
        shapes.put("cls.predictions.bias", new long[] {7});
        shapes.put("cls.predictions.decoder.bias", new long[] {7});
        shapes.put("cls.predictions.decoder.weight", new long[] {7, 128});
        vocabulary(folder.resolve("vocab.txt"));
        huggingFace(shapes, 1);
        List<String> names = List.of("embeddings.word_embeddings.weight", "embeddings.LayerNorm.weight", "cls.predictions.bias");
        try (ModelFolder model = ModelFolder.open(folder)) {
            assertEquals(names, List.copyOf(model.tensors().shapes().keySet()));
        }
        huggingFace(shapes, 2); // not the word embeddings, so it must not vanish
        try (ModelFolder model = ModelFolder.open(folder)) {
            assertTrue(model.tensors().contains("cls.predictions.decoder.weight"));
        }
        shapes.put("bert.embeddings.LayerNorm.weight", new long[] {128});
        huggingFace(shapes, 1);
        assertTrue(error().contains("Both bert.embeddings.LayerNorm.gamma and bert.embeddings.LayerNorm.weight"), error());
    }

    @Test
    void tokenizerJsonInPlaceOfAVocabulary() throws IOException {
        huggingFace(Map.of("embeddings.word_embeddings.weight", new long[] {7, 128}), 1);
        Path tokenizer = folder.resolve("tokenizer.json");
        String json = """
                {"added_tokens": [{"id": 6, "content": "[X]"}], "normalizer": {"type": "BertNormalizer", "lowercase": false},
                 "model": {"type": "WordPiece", "vocab": {"b": 1, "a": 0, "c": 2, "d": 3, "e": 5, "f": 4}}}""";
        Files.writeString(tokenizer, json);
        try (ModelFolder model = ModelFolder.open(folder)) {
            assertEquals(List.of("a", "b", "c", "d", "f", "e", "[X]"), model.vocabulary());
            assertFalse(model.lowerCase());
        }
        Files.writeString(folder.resolve("tokenizer_config.json"), "{\"do_lower_case\": true}");
        try (ModelFolder model = ModelFolder.open(folder)) {
            assertTrue(model.lowerCase());
        }
        Files.writeString(tokenizer, json.replace("\"e\": 5", "\"e\": 7"));
        assertTrue(error().contains("no piece of its vocabulary has the id 5"), error());
        Files.writeString(tokenizer, json.replace("WordPiece", "BPE"));
        assertTrue(error().contains("its model is BPE"), error());
    }

    @Test
    void disagreementsNameBothNumbers() throws IOException {
        huggingFace(Map.of("embeddings.word_embeddings.weight", new long[] {7, 128}), 1);
        vocabulary(folder.resolve("vocab.txt"), "eighth");
        assertTrue(error().contains("has 8 pieces") && error().contains("[7, 128]"), error());
        vocabulary(folder.resolve("vocab.txt"));
        BertConfig.ofSizes(7, 64, 1, 2, 3, 5, 2).write(folder.resolve("config.json"));
        assertTrue(error().contains("hidden_size 64") && error().contains("[7, 128]"), error());
        Files.delete(folder.resolve("config.json"));
        assertTrue(error().contains("config.json: there is no such file"), error());
    }

    @Test
    void vocabulariesOfOddLines() throws IOException {
        huggingFace(Map.of("embeddings.word_embeddings.weight", new long[] {7, 128}), 1);
        Path file = folder.resolve("vocab.txt");
        Files.writeString(file, "[PAD]\r\n\u0085\r\n\u2028\r\n\r\n b \r\nApril\r\nz"); // CRLF, separators as pieces, an empty one, no last end of line
        try (ModelFolder model = ModelFolder.open(folder)) {
            assertEquals(List.of("[PAD]", "\u0085", "\u2028", "", " b ", "April", "z"), model.vocabulary());
            assertFalse(model.lowerCase());
        }
        Files.write(file, new byte[] {'a', '\n', (byte) 0xb0, (byte) 0xa1});
        assertTrue(error().contains("vocab.txt: it is not UTF-8"), error());
        Files.delete(file);
        assertTrue(error().contains("neither vocab.txt nor tokenizer.json"), error());
    }

    @Test
    void foldersWithoutAModel() throws IOException {
        assertTrue(error().contains("There is no model in"), error());
        Files.createFile(folder.resolve("pytorch_model.bin"));
        assertTrue(error().contains("save it as safetensors"), error());
        Files.writeString(folder.resolve("model.onnx"), "no onnx");
        assertTrue(error().contains("model.onnx"), error());
        String absent = assertThrows(WarpBertException.class, () -> ModelFolder.open(folder.resolve("none"))).getMessage();
        assertTrue(absent.contains("There is no model folder"), absent);
        assertThrows(WarpBertException.class, () -> ModelFolder.check(folder.resolve("none")));
    }
}
