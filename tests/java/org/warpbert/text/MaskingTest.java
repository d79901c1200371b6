package org.warpbert.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.WarpBertException;
import org.warpbert.format.AddedToken;
import org.warpbert.format.Vocabulary;

/** Counts over many draws lie within five standard deviations of what they are drawn for: one test in a million fails by chance. */
class MaskingTest {
    private static final double SIGMAS = 5;
    private static final int WORDS = 200;
    private static final List<String> VOCABULARY = new ArrayList<>(Vocabulary.SPECIALS);
    private static final int MARK = 5;
    private static final int FIRST_WORD = 6;
    private static final int FIRST_INSIDE = FIRST_WORD + WORDS;

    static {
        VOCABULARY.add("<mark>");
        IntStream.range(0, WORDS).forEach(i -> VOCABULARY.add("w" + i));
        IntStream.range(0, WORDS).forEach(i -> VOCABULARY.add("##i" + i));
    }

    private static final WordPieceTokenizer TOKENIZER = new WordPieceTokenizer(VOCABULARY, true, List.of(AddedToken.of("<mark>", true)));

    @AfterAll
    static void close() {
        TOKENIZER.close();
    }

    /** [CLS] words [SEP] of words with up to {@code longest} pieces, specials among them. */
    private static Encoded sequence(long seed, int words, int longest) {
        SplittableRandom random = new SplittableRandom(seed);
        List<Integer> ids = new ArrayList<>(List.of(TOKENIZER.clsId()));
        for (int w = 0; w < words; w++) {
            ids.add(FIRST_WORD + random.nextInt(WORDS));
            int more = longest == 1 ? 0 : random.nextInt(longest);
            for (int i = 0; i < more; i++) {
                ids.add(FIRST_INSIDE + random.nextInt(WORDS));
            }
            if (w % 10 == 3) {
                ids.add(w % 20 == 3 ? MARK : TOKENIZER.unkId());
            }
        }
        ids.add(TOKENIZER.sepId());
        return new Encoded(ids.stream().mapToInt(i -> i).toArray(), new byte[ids.size()], false);
    }

    private static boolean special(int id) {
        return id < FIRST_WORD;
    }

    private static void near(double share, long hits, long draws) {
        double deviation = Math.sqrt(share * (1 - share) / draws);
        assertEquals(share, (double) hits / draws, SIGMAS * deviation, hits + " of " + draws);
    }

    @ParameterizedTest
    @CsvSource({"false", "true"})
    void eightTenthsAreMaskedOneReplacedOneKept(boolean wholeWords) {
        Masking masking = new Masking(TOKENIZER, Masking.SHARE, wholeWords, 7);
        long chosen = 0;
        long masked = 0;
        long kept = 0;
        long[] replacements = new long[VOCABULARY.size()];
        for (int row = 0; row < 40; row++) {
            Encoded sequence = sequence(row, 90, 3);
            Instance prepared = masking.prepare(sequence, row);
            int pieces = (int) Arrays.stream(sequence.tokens()).filter(id -> !special(id)).count();
            assertEquals(Math.round(Masking.SHARE * pieces), prepared.labelled(), "words of one piece make up any number");
            for (int epoch = 0; epoch < 60; epoch++) {
                Instance drawn = masking.draw(prepared, row, epoch);
                assertEquals(prepared.labelled(), drawn.labelled());
                assertArrayEquals(new int[] {row}, drawn.labels());
                int[] tokens = drawn.sequences().get(0).tokens();
                int[] labels = drawn.tokenLabels()[0];
                for (int t = 0; t < tokens.length; t++) {
                    int original = sequence.tokens()[t];
                    if (labels[t] == PackedBatch.IGNORE) {
                        assertEquals(original, tokens[t]);
                        continue;
                    }
                    assertFalse(special(original), "a special token is never chosen");
                    assertEquals(original, labels[t]);
                    chosen++;
                    if (tokens[t] == TOKENIZER.maskId()) {
                        masked++;
                    } else if (tokens[t] == original) {
                        kept++;
                    } else {
                        replacements[tokens[t]]++;
                    }
                }
            }
        }
        assertTrue(chosen > 50_000, "enough to tell by: " + chosen);
        near(0.8, masked, chosen);
        long replaced = Arrays.stream(replacements).sum();
        near(0.1, replaced, chosen); // 1 in 400 of the replaced is what it was: 2.5e-4 of the chosen, a fifth of the allowance
        near(0.1, kept, chosen);
        assertEquals(0, Arrays.stream(replacements, 0, FIRST_WORD).sum(), "no special token comes in");
        for (int id = FIRST_WORD; id < replacements.length; id++) {
            near(1.0 / (2 * WORDS), replacements[id], replaced);
        }
    }

    @Test
    void everyPieceIsChosenEquallyOften() {
        Masking masking = new Masking(TOKENIZER, Masking.SHARE, false, 3);
        Encoded sequence = sequence(1, 40, 1);
        Instance prepared = masking.prepare(sequence);
        long[] chosen = new long[sequence.length()];
        int draws = 20_000;
        for (int epoch = 0; epoch < draws; epoch++) {
            int[] labels = masking.draw(prepared, 0, epoch).tokenLabels()[0];
            for (int t = 0; t < labels.length; t++) {
                chosen[t] += labels[t] == PackedBatch.IGNORE ? 0 : 1;
            }
        }
        for (int t = 0; t < chosen.length; t++) {
            near(special(sequence.tokens()[t]) ? 0 : 6.0 / 40, chosen[t], draws);
        }
    }

    /** Also where their lengths add up to the wanted number only in few ways, or to no number near it. */
    @ParameterizedTest(name = "words of {0}")
    @CsvSource({"1 2 3 2 1 4 2 2 3 1 1 5, 4", "2 2 2 2 2 2 2 2 2 2, 2", "3 3 3 3 2 3 3 3, 3", "7 9, 7", "1, 1", "4 4 4 4 4 3 4 4 4 4 4 4, 7"})
    void wordsAreChosenWholeAndAlwaysAsManyPieces(String lengths, int expected) {
        Masking masking = new Masking(TOKENIZER, Masking.SHARE, true, 11);
        int[] words = Arrays.stream(lengths.split(" ")).mapToInt(Integer::parseInt).toArray();
        List<Integer> ids = new ArrayList<>(List.of(TOKENIZER.clsId()));
        List<int[]> places = new ArrayList<>();
        for (int length : words) {
            places.add(new int[] {ids.size(), ids.size() + length});
            ids.add(FIRST_WORD);
            IntStream.range(1, length).forEach(i -> ids.add(FIRST_INSIDE + i));
        }
        ids.add(TOKENIZER.sepId());
        Instance prepared = masking.prepare(new Encoded(ids.stream().mapToInt(i -> i).toArray(), new byte[ids.size()], false));
        assertEquals(expected, prepared.labelled());
        for (int epoch = 0; epoch < 300; epoch++) {
            Instance drawn = masking.draw(prepared, 5, epoch);
            assertEquals(expected, drawn.labelled());
            int[] labels = drawn.tokenLabels()[0];
            for (int[] place : places) {
                long chosen = IntStream.range(place[0], place[1]).filter(t -> labels[t] != PackedBatch.IGNORE).count();
                assertTrue(chosen == 0 || chosen == place[1] - place[0], "a word is chosen whole or not");
            }
        }
    }

    /** A text that was cut in a word begins inside one: that is a word of its own, and never joins a special token. */
    @Test
    void aSequenceMayBeginInsideAWord() {
        Masking masking = new Masking(TOKENIZER, 0.5, true, 2);
        int[] tokens = {TOKENIZER.clsId(), FIRST_INSIDE, FIRST_INSIDE + 1, TOKENIZER.sepId(), FIRST_INSIDE + 2, FIRST_INSIDE + 3, TOKENIZER.sepId()};
        Instance prepared = masking.prepare(new Encoded(tokens, new byte[tokens.length], false));
        assertEquals(2, prepared.labelled());
        for (int epoch = 0; epoch < 50; epoch++) {
            int[] labels = masking.draw(prepared, 0, epoch).tokenLabels()[0];
            assertEquals(labels[1] == PackedBatch.IGNORE, labels[2] == PackedBatch.IGNORE);
        }
    }

    @Test
    void drawsAreAFunctionOfSeedRowAndEpoch() {
        Masking masking = new Masking(TOKENIZER, Masking.SHARE, false, 7);
        Instance prepared = masking.prepare(sequence(1, 90, 3));
        int[] first = masking.draw(prepared, 3, 2).sequences().get(0).tokens();
        assertArrayEquals(first, new Masking(TOKENIZER, Masking.SHARE, false, 7).draw(prepared, 3, 2).sequences().get(0).tokens());
        assertFalse(Arrays.equals(first, masking.draw(prepared, 3, 3).sequences().get(0).tokens()), "the epoch is drawn from");
        assertFalse(Arrays.equals(first, masking.draw(prepared, 2, 2).sequences().get(0).tokens()), "the row is drawn from");
        assertFalse(Arrays.equals(first, new Masking(TOKENIZER, Masking.SHARE, false, 8).draw(prepared, 3, 2).sequences().get(0).tokens()), "the seed is drawn from");
    }

    @Test
    void aSequenceOfSpecialTokensHasNothingToMask() {
        Masking masking = new Masking(TOKENIZER, Masking.SHARE, false, 7);
        int[] tokens = {TOKENIZER.clsId(), TOKENIZER.unkId(), MARK, TOKENIZER.sepId()};
        Instance prepared = masking.prepare(new Encoded(tokens, new byte[4], false));
        assertEquals(0, prepared.labelled());
        assertArrayEquals(tokens, masking.draw(prepared, 0, 0).sequences().get(0).tokens());
        for (double share : new double[] {0, 1, -0.1, Double.NaN}) {
            assertThrows(WarpBertException.class, () -> new Masking(TOKENIZER, share, false, 7));
        }
    }
}
