package org.warpbert.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class WordPiecesTest {
    private static final int NO = PackedBatch.IGNORE;

    private static List<Instance> encode(List<List<String>> sentences, int[][] labels, int maxLength) {
        try (WordPieceTokenizer tokenizer = TestData.uncased()) {
            int[] rows = new int[sentences.size()];
            Arrays.setAll(rows, i -> rows.length - 1 - i); // any order
            return new WordPieces(tokenizer, sentences, labels, maxLength).encode(rows);
        }
    }

    private static List<String> tokens(Instance instance) {
        try (WordPieceTokenizer tokenizer = TestData.uncased()) {
            return Arrays.stream(instance.sequences().get(0).tokens()).mapToObj(tokenizer::token).toList();
        }
    }

    @Test
    void theFirstPieceHasTheLabel() {
        List<Instance> two = encode(List.of(List.of("@paulwalk", "It"), List.of("Gardena", "\u0007", "O'Neil")), new int[][] {{3, 0}, {4, 1, 2}}, 64);
        assertEquals(List.of("[CLS]", "garden", "##a", "[UNK]", "o", "'", "neil", "[SEP]"), tokens(two.get(0)));
        assertArrayEquals(new int[] {NO, 4, NO, 1, 2, NO, NO, NO}, two.get(0).tokenLabels()[0]);
        assertEquals(List.of("[CLS]", "@", "paul", "##walk", "it", "[SEP]"), tokens(two.get(1)));
        assertArrayEquals(new int[] {NO, 3, NO, NO, 0, NO}, two.get(1).tokenLabels()[0]);
    }

    @Test
    void wordsBehindTheCutHaveNone() {
        List<String> words = List.of("Gardena", "is", "Gardena", "is");
        int[][] labels = {{5, 6, 7, 8}};
        Instance cut = encode(List.of(words), labels, 6).get(0);
        assertArrayEquals(new int[] {NO, 5, NO, 6, 7, NO}, cut.tokenLabels()[0]); // the third word's second piece is cut
        assertTrue(cut.truncated());
        assertArrayEquals(new int[] {NO, 5, NO, 6, NO}, encode(List.of(words), labels, 5).get(0).tokenLabels()[0]);
        assertArrayEquals(new int[] {NO, 5, NO}, encode(List.of(words), labels, 3).get(0).tokenLabels()[0]);
        Instance whole = encode(List.of(words), labels, 8).get(0);
        assertFalse(whole.truncated());
        assertEquals(4, whole.labelled());
    }
}
