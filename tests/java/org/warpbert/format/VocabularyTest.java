package org.warpbert.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.WarpBertException;

class VocabularyTest {
    @TempDir
    Path folder;

    private void tokenizer(String model, String addedTokens) throws IOException {
        Files.writeString(folder.resolve("tokenizer.json"), "{\"added_tokens\": [" + addedTokens + "], \"model\": {" + model + "}}");
    }

    private void assertError(String part) {
        String message = assertThrows(WarpBertException.class, () -> Vocabulary.read(folder)).getMessage();
        assertTrue(message.contains(part) && message.contains(folder.toString()), message);
    }

    @Test
    void noVocabulary() throws IOException {
        assertError("neither vocab.txt nor tokenizer.json");
        Files.write(folder.resolve("vocab.txt"), new byte[] {'a', '\n', (byte) 0xff});
        assertError("vocab.txt: it is not UTF-8");
    }

    /** Early files name no type of model. */
    @Test
    void onlyWordPieceIsRead() throws IOException {
        tokenizer("\"max_input_chars_per_word\": 100, \"vocab\": {\"b\": 1, \"a\": 0}", "");
        assertEquals(List.of("a", "b"), Vocabulary.read(folder).pieces());
        tokenizer("\"merges\": [], \"vocab\": {\"b\": 1, \"a\": 0}", "");
        assertError("its model is missing");
        tokenizer("\"type\": \"BPE\", \"max_input_chars_per_word\": 100, \"vocab\": {}", "");
        assertError("its model is BPE");
        tokenizer("\"type\": \"WordPiece\"", "");
        assertError("its model has no vocabulary");
        Files.writeString(folder.resolve("tokenizer.json"), "{\"added_tokens\": [");
        assertError("tokenizer.json: it is not valid JSON (Unexpected end-of-input: expected close marker for Array).");
    }

    @Test
    void everyIdStandsForOnePiece() throws IOException {
        String two = "\"type\": \"WordPiece\", \"vocab\": {\"a\": 0, \"b\": 1}";
        tokenizer(two, "{\"id\": 1, \"content\": \"b\"}, {\"id\": 2, \"content\": \"[X]\"}");
        assertEquals(List.of("a", "b", "[X]"), Vocabulary.read(folder).pieces());
        tokenizer(two, "{\"id\": 1, \"content\": \"[X]\"}");
        assertError("the pieces 'b' and '[X]' both have the id 1");
        tokenizer(two.replace("1", "0"), "");
        assertError("the pieces 'a' and 'b' both have the id 0");
        tokenizer(two.replace("1", "2"), "");
        assertError("no piece of its vocabulary has the id 1");
        for (String id : List.of("-1", "1.5", "\"1\"", "null", "99999999999")) {
            tokenizer(two.replace("1", id), "");
            assertError("piece 'b' has the id " + id);
        }
    }

    @Test
    void whatIsWrittenIsReadBack() throws IOException {
        List<String> pieces = new ArrayList<>(Vocabulary.SPECIALS);
        pieces.addAll(List.of("\u0085", "\u2028", "\ud83d\ude00", "April", "\"\\"));
        TokenizerWriter.write(folder.resolve("new"), pieces, true, 128);
        Vocabulary read = Vocabulary.read(folder.resolve("new"));
        assertEquals(pieces, read.pieces());
        assertTrue(read.lowerCase());
        Files.delete(folder.resolve("new/vocab.txt"));
        Files.delete(folder.resolve("new/tokenizer_config.json"));
        Vocabulary fromTokenizer = Vocabulary.read(folder.resolve("new"));
        assertEquals(pieces, fromTokenizer.pieces());
        assertTrue(fromTokenizer.lowerCase());
        TokenizerWriter.write(folder.resolve("new"), pieces, false, 128);
        assertFalse(Vocabulary.read(folder.resolve("new")).lowerCase());
    }

    @Test
    void aVocabularyWithoutItsSpecialsIsNotWritten() throws IOException {
        String message = assertThrows(WarpBertException.class, () -> TokenizerWriter.write(folder, List.of("[PAD]", "[UNK]", "[CLS]", "a"), true, 8)).getMessage();
        assertTrue(message.contains("of 4 pieces lacks [SEP] [MASK]"), message);
        try (Stream<Path> files = Files.list(folder)) {
            assertEquals(0, files.count());
        }
    }
}
