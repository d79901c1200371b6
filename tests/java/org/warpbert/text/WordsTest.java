package org.warpbert.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class WordsTest {
    private static String cut(String text) {
        return Words.of(text).stream().map(w -> text.substring(w.start(), w.end())).collect(Collectors.joining("|"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = ';', value = {
        "In Paris, (see e-mail).; In|Paris|,|(|see|e-mail|)|.",
        "Paris's and I'll don\u2019t n't can't.; Paris|'s|and|I|'ll|do|n\u2019t|n't|ca|n't|.",
        "rock'n'roll O'Neil 'tis '90s; rock'n'roll|O'Neil|'|tis|'|90s",
        "@paul: #nlp (@_x) # @ @!; @paul|:|#nlp|(|@_x|)|#|@|@|!",
        "$3.50 http://a.b/c?d=e ...; $|3.50|http://a.b/c?d=e|.|.|.",
        "\u5317\u4eac\u5e02A \uc11c\uc6b8\uc5d0\uc11c.; \u5317|\u4eac|\u5e02|A|\uc11c\uc6b8\uc5d0\uc11c|.",
        "a\u00a0b\u0007c; a|b|c"})
    void cutsAtSpacesAndEdges(String text, String words) {
        assertEquals(words, cut(text));
    }

    @Test
    void nothingAndOnlySpaces() {
        assertEquals(List.of(), Words.of(""));
        assertEquals(List.of(), Words.of(" \t\u3000\n"));
    }

    /** Whatever the text: words are in order, not empty, without white space, and all that is no white space is in one. */
    @Test
    void wordsCoverAnyText() {
        SplittableRandom random = new SplittableRandom(8);
        int[] alphabet = "ab1'\u2019@#.,-$_ \t\n\u5317\ud55c\u0301\ufe0f".codePoints().toArray();
        for (int n = 0; n < 3000; n++) {
            StringBuilder text = new StringBuilder();
            for (int i = random.nextInt(12); i > 0; i--) {
                text.appendCodePoint(random.nextInt(15) == 0 ? 0x1F600 : alphabet[random.nextInt(alphabet.length)]);
            }
            int at = 0;
            for (Words.Span word : Words.of(text.toString())) {
                assertTrue(text.substring(at, word.start()).isBlank(), () -> "left out of '" + text + "'");
                assertTrue(word.start() >= at && word.end() > word.start(), () -> "words of '" + text + "'");
                assertTrue(text.substring(word.start(), word.end()).chars().noneMatch(Character::isWhitespace), () -> "words of '" + text + "'");
                at = word.end();
            }
            assertTrue(text.substring(at).isBlank(), () -> "left out of '" + text + "'");
        }
    }
}
