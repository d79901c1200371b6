package org.warpbert.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.WarpBertException;
import org.warpbert.text.WordPieceTokenizer;

class NewTokensTest {
    private static final List<String> PIECES = new ArrayList<>(Vocabulary.SPECIALS);

    static {
        PIECES.addAll(List.of("[unused1]", "a", "##b", "co", "##vid", "-", "19", "New", "York", "new", "york", "<", ">", "e", "##1", "the"));
    }

    @TempDir Path folder;
    private final List<String> notes = new ArrayList<>();

    private NewTokens tokens(String text) throws IOException {
        return NewTokens.read(Files.writeString(folder.resolve("tokens.txt"), text), notes::add);
    }

    @Test
    void newTokensGetTheNextIdsInOrderAndKnownOnesAreNoted() throws IOException {
        NewTokens read = tokens("covid-19\r\n\n  New York \n<e1>\tspecial\n[unused1]\tspecial\nthe\ncovid-19\n[MASK]\tspecial\n");
        assertEquals(1, notes.size());
        assertTrue(notes.get(0).contains("line 7") && notes.get(0).contains("covid-19"), notes.get(0));
        NewTokens.Grown grown = read.addTo(PIECES, List.of(), notes::add);
        int v = PIECES.size();
        assertEquals(PIECES, grown.pieces().subList(0, v));
        assertEquals(List.of("covid-19", "New York", "<e1>"), grown.pieces().subList(v, v + 3));
        assertEquals(v + 3, grown.pieces().size());
        assertEquals(List.of("covid-19", "New York", "<e1>", "[unused1]"), grown.added().stream().map(AddedToken::content).toList());
        assertEquals(4, notes.size(), notes.toString());
        assertTrue(notes.get(1).contains("[unused1]") && notes.get(1).contains("as 5; it is a special token now"), notes.get(1));
        assertTrue(notes.get(2).contains("'the'") && notes.get(3).contains("[MASK]"), notes.toString());
        NewTokens.Grown again = read.addTo(grown.pieces(), grown.added(), note -> {});
        assertEquals(grown, again, "adding them again changes nothing");
    }

    @Test
    void whatIsNoTokenIsAnErrorThatNamesTheLine() {
        assertFails("a\nb\tordinary\n", "line 2", "special");
        assertFails("a\tspecial\tx\n", "line 1");
        assertFails("\tspecial\n", "line 1", "no token");
        assertFails("\n \n", "holds no token");
        assertTrue(assertThrows(WarpBertException.class, () -> NewTokens.read(folder.resolve("none.txt"), notes::add)).getMessage().contains("none.txt"));
    }

    private void assertFails(String text, String... parts) {
        String message = assertThrows(WarpBertException.class, () -> tokens(text)).getMessage();
        for (String part : parts) {
            assertTrue(message.contains(part), message);
        }
    }

    /** As Hugging Face's fast tokenizer: ordinary tokens are looked for in the normalised text, special ones in the raw one. */
    @Test
    void theTokenizerKeepsThemWhole() throws IOException {
        NewTokens read = tokens("covid-19\nNew York\n<e1>\tspecial\n");
        NewTokens.Grown grown = read.addTo(PIECES, List.of(), notes::add);
        try (WordPieceTokenizer uncased = new WordPieceTokenizer(grown.pieces(), true, grown.added());
                WordPieceTokenizer cased = new WordPieceTokenizer(grown.pieces(), false, grown.added());
                WordPieceTokenizer before = new WordPieceTokenizer(PIECES, true)) {
            assertEquals(List.of("co", "##vid", "-", "19"), before.pieces("COVID-19"));
            assertEquals(List.of("the", "covid-19", "a"), uncased.pieces("the COVID-19 a"));
            assertEquals(List.of("covid-19"), cased.pieces("covid-19"));
            assertEquals(List.of("[UNK]", "-", "19"), cased.pieces("COVID-19"), "another case is another token");
            assertEquals(List.of("New York", "a"), uncased.pieces("new york a"));
            assertEquals(List.of("New York", "a"), uncased.pieces("NEW YORK a"));
            assertEquals(List.of("New York"), cased.pieces("New York"));
            assertEquals(List.of("new", "york"), cased.pieces("new york"));
            assertEquals(List.of("a", "<e1>", "a"), uncased.pieces("a<e1>a"));
            assertEquals(List.of("<", "e", "##1", ">").size() + 1, uncased.pieces("a<E1>").size(), "a special token is looked for as it is");
            assertArrayEquals(new int[][] {{0, 3}, {4, 12}}, uncased.offsets("the COVID-19"));
            boolean[] special = uncased.special();
            assertTrue(special[grown.pieces().indexOf("<e1>")] && special[uncased.maskId()]);
            assertFalse(special[grown.pieces().indexOf("covid-19")] || special[6]);
        }
    }

    @Test
    void whatIsSavedIsReadBackAndNamedAsTransformersNamesIt() throws IOException {
        NewTokens.Grown grown = tokens("covid-19\n[unused1]\tspecial\n<e1>\tspecial\n").addTo(PIECES, List.of(), notes::add);
        TokenizerWriter.write(folder.resolve("new"), grown.pieces(), true, grown.added(), 128);
        Vocabulary read = Vocabulary.read(folder.resolve("new"));
        assertEquals(grown.pieces(), read.pieces());
        assertEquals(List.of("[unused1]", "covid-19", "<e1>"), read.added().stream().map(AddedToken::content).toList());
        assertEquals(AddedToken.of("<e1>", true), read.added().get(2));
        assertEquals(AddedToken.of("covid-19", false), read.added().get(1));
        ObjectMapper json = new ObjectMapper();
        int v = PIECES.size();
        JsonNode tokenizer = json.readTree(folder.resolve("new/tokenizer.json").toFile());
        assertEquals(v, tokenizer.path("model").path("vocab").size(), "added tokens are no pieces of WordPiece's");
        assertEquals(8, tokenizer.path("added_tokens").size());
        assertEquals(v + 1, tokenizer.path("added_tokens").path(7).path("id").asInt());
        JsonNode config = json.readTree(folder.resolve("new/tokenizer_config.json").toFile());
        assertEquals("covid-19", config.path("added_tokens_decoder").path("" + v).path("content").asText());
        assertFalse(config.path("added_tokens_decoder").path("" + v).path("special").asBoolean());
        JsonNode map = json.readTree(folder.resolve("new/special_tokens_map.json").toFile());
        assertEquals("[\"[unused1]\",\"<e1>\"]", map.path("additional_special_tokens").toString());
        // as transformers itself leaves a folder: vocab.txt without the tokens that were added
        Files.write(folder.resolve("new/vocab.txt"), PIECES);
        assertEquals(grown.pieces(), Vocabulary.read(folder.resolve("new")).pieces());
        Files.delete(folder.resolve("new/vocab.txt"));
        assertEquals(grown.pieces(), Vocabulary.read(folder.resolve("new")).pieces());
    }

    @Test
    void newRowsAreTheMeanOfTheOldOnes() {
        Map<String, float[]> values = new LinkedHashMap<>();
        values.put("embeddings.word_embeddings.weight", new float[] {1, 2, 3, 4, 5, 9});
        values.put("cls.predictions.bias", new float[] {1, 0, 5});
        values.put("pooler.dense.bias", new float[] {7, 8});
        Map<String, long[]> shapes = Map.of("embeddings.word_embeddings.weight", new long[] {3, 2}, "cls.predictions.bias", new long[] {3},
                "pooler.dense.bias", new long[] {2});
        TensorSource source = new TensorSource() {
            @Override
            public Map<String, long[]> shapes() {
                return shapes;
            }

            @Override
            public void read(String name, FloatBuffer dst) {
                dst.put(values.get(name));
            }

            @Override
            public String location() {
                return "memory";
            }

            @Override
            public void close() {}
        };
        GrownTensors grown = new GrownTensors(source, 5);
        assertArrayEquals(new float[] {0, 1, 2, 3, 4, 5, 9, 3, 5, 3, 5}, read(grown, "embeddings.word_embeddings.weight", 5, 2), "also behind what a buffer holds");
        assertArrayEquals(new float[] {0, 1, 0, 5, 2, 2}, read(grown, "cls.predictions.bias", 5));
        assertArrayEquals(new float[] {0, 7, 8}, read(grown, "pooler.dense.bias", 2));
    }

    private static float[] read(TensorSource source, String name, long... shape) {
        FloatBuffer buffer = FloatBuffer.allocate(1 + (int) TensorSource.elements(shape)).put(0);
        source.read(name, shape, buffer);
        return buffer.array();
    }
}
