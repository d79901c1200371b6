package org.warpbert.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.warpbert.WarpBertException;
import org.warpbert.format.Vocabulary;

/** Documents whose every word says which document it is of and where it stands there: word n of document d is the piece d * 500 + n. */
class PretrainingSequencesTest {
    private static final int DOCUMENTS = 60;
    private static final int LONGEST = 500;
    private static final int MAX_LENGTH = 40;
    private static final List<String> VOCABULARY = new ArrayList<>(Vocabulary.SPECIALS);

    static {
        IntStream.range(0, DOCUMENTS * LONGEST).forEach(i -> VOCABULARY.add("w" + i));
    }

    private static final WordPieceTokenizer TOKENIZER = new WordPieceTokenizer(VOCABULARY, true);
    @TempDir Path folder;

    @AfterAll
    static void close() {
        TOKENIZER.close();
    }

    /** Lines of 1 to 60 words, longer ones than a sequence among them. */
    private static Documents documents(int count) {
        SplittableRandom random = new SplittableRandom(4);
        List<List<String>> documents = new ArrayList<>();
        for (int d = 0; d < count; d++) {
            List<String> lines = new ArrayList<>();
            for (int n = 0; n < LONGEST - 60; ) {
                int words = 1 + random.nextInt(random.nextInt(5) == 0 ? 60 : 12);
                int from = d * LONGEST + n;
                lines.add(String.join(" ", IntStream.range(from, from + words).mapToObj(i -> "w" + i).toList()));
                n += words;
            }
            documents.add(lines);
        }
        return new Documents(Path.of("words.txt"), documents);
    }

    private static PretrainingSequences sequences(Documents documents, Objective objective, int maxLength) {
        return new PretrainingSequences(documents, objective, TOKENIZER, new Masking(TOKENIZER, Masking.SHARE, false, 1), maxLength, 1);
    }

    private static List<Instance> all(PretrainingSequences sequences) {
        return sequences.encode(IntStream.range(0, sequences.size()).toArray());
    }

    /** The two texts of a sequence, as word numbers. */
    private static int[][] texts(Encoded sequence) {
        int[] tokens = sequence.tokens();
        int middle = IntStream.range(0, tokens.length).filter(t -> tokens[t] == TOKENIZER.sepId()).findFirst().orElseThrow();
        assertEquals(TOKENIZER.clsId(), tokens[0]);
        assertEquals(TOKENIZER.sepId(), tokens[tokens.length - 1]);
        for (int t = 0; t < tokens.length; t++) {
            assertEquals(t <= middle ? 0 : 1, sequence.segments()[t]);
        }
        return new int[][] {words(tokens, 1, middle), words(tokens, middle + 1, tokens.length - 1)};
    }

    private static int[] words(int[] tokens, int from, int to) {
        int[] words = Arrays.stream(tokens, from, to).map(id -> id - Vocabulary.SPECIALS.size()).toArray();
        for (int i = 1; i < words.length; i++) {
            assertEquals(words[i - 1] + 1, words[i], "a text runs on without a gap, in one document");
        }
        assertTrue(words.length > 0, "no text is empty");
        return words;
    }

    @ParameterizedTest
    @EnumSource(names = {"NSP", "SOP"})
    void halfOfThePairsAreWrong(Objective objective) {
        List<Instance> instances = all(sequences(documents(DOCUMENTS), objective, MAX_LENGTH));
        long wrong = 0;
        long others = 0;
        int shorter = 0;
        for (Instance instance : instances) {
            Encoded sequence = instance.sequences().get(0);
            assertTrue(sequence.length() <= MAX_LENGTH, "no sequence is too long");
            shorter += sequence.length() < MAX_LENGTH / 2 ? 1 : 0;
            int[][] texts = texts(sequence);
            int first = texts[0][0] / LONGEST;
            int second = texts[1][0] / LONGEST;
            boolean follows = texts[1][0] > texts[0][texts[0].length - 1];
            if (instance.labels()[0] == 1) {
                wrong++;
                others += second == (first + 1) % DOCUMENTS ? 1 : 0;
            }
            if (objective == Objective.NSP) {
                assertEquals(instance.labels()[0] == 1, first != second, "the wrong half is another document's");
                assertTrue(first != second || follows);
            } else {
                assertEquals(first, second);
                assertEquals(instance.labels()[0] == 1, !follows);
            }
        }
        int n = instances.size();
        assertTrue(n > 600, "enough to tell by: " + n);
        assertEquals(0.5, (double) wrong / n, 5 * Math.sqrt(0.25 / n), "half of the pairs");
        assertTrue(shorter > 0.03 * n && shorter < 0.4 * n, shorter + " of " + n + " are short");
        assertTrue(objective == Objective.SOP || others < 0.1 * wrong, "any other document: " + others + " of " + wrong + " are the next one");
    }

    /** What is not in the wrong second half goes on to the next pair: only what a pair is too long by is lost, and a word alone. */
    @ParameterizedTest
    @EnumSource
    void littleTextIsLost(Objective objective) {
        List<Instance> instances = all(sequences(documents(DOCUMENTS), objective, MAX_LENGTH));
        boolean[] seen = new boolean[DOCUMENTS * LONGEST];
        for (Instance instance : instances) {
            for (int token : instance.sequences().get(0).tokens()) {
                if (token >= Vocabulary.SPECIALS.size()) {
                    seen[token - Vocabulary.SPECIALS.size()] = true;
                }
            }
        }
        long words = documents(DOCUMENTS).documents().stream().flatMap(List::stream).mapToInt(line -> line.split(" ").length).sum();
        long read = IntStream.range(0, seen.length).filter(i -> seen[i]).count();
        assertTrue(objective == Objective.MLM ? read == words : read > 0.8 * words, read + " of " + words);
    }

    @Test
    void aTextAloneIsCutInOrderAfterSentencesElseBeforeWords() {
        List<String> pieces = new ArrayList<>(Vocabulary.SPECIALS);
        pieces.addAll(List.of(".", "a", "b", "##c"));
        try (WordPieceTokenizer tokenizer = new WordPieceTokenizer(pieces, true)) {
            Documents text = new Documents(Path.of("x"), List.of(List.of("a b a b a . a b", "a a a a a a a bccc a", "bccccccccccc")));
            PretrainingSequences sequences = new PretrainingSequences(text, Objective.MLM, tokenizer, new Masking(tokenizer, 0.15, true, 1), 10, 1);
            List<String> parts = all(sequences).stream().map(instance -> String.join(" ",
                    Arrays.stream(instance.sequences().get(0).tokens()).mapToObj(tokenizer::token).toList())).toList();
            assertEquals(List.of("[CLS] a b a b a . [SEP]", "[CLS] a b a a a a a a [SEP]", "[CLS] a b ##c ##c ##c a [SEP]",
                    "[CLS] b ##c ##c ##c ##c ##c ##c ##c [SEP]", "[CLS] ##c ##c ##c ##c [SEP]"), parts);
        }
    }

    @Test
    void pairsAndMasksAreAFunctionOfTheSeedAndMasksOfTheEpochToo() {
        PretrainingSequences sequences = sequences(documents(DOCUMENTS), Objective.NSP, MAX_LENGTH);
        PretrainingSequences again = sequences(documents(DOCUMENTS), Objective.NSP, MAX_LENGTH);
        assertEquals(sequences.size(), again.size());
        try (BatchLoader loader = new BatchLoader(sequences, 16, 3, true); BatchLoader other = new BatchLoader(again, 16, 3, true)) {
            Capacity capacity = loader.capacity(0, 2);
            int[][] tokens = new int[2][];
            for (int epoch = 0; epoch < 2; epoch++) {
                var batches = loader.epoch(epoch, 0);
                var others = other.epoch(epoch, 0);
                int labelled = 0;
                while (batches.hasNext()) {
                    PackedBatch batch = batches.next();
                    PackedBatch same = others.next();
                    tokens[epoch] = batch.tokens();
                    assertArrayEquals(batch.tokens(), same.tokens());
                    assertArrayEquals(batch.labels(), same.labels());
                    assertTrue(capacity.holds(Capacity.of(batch)));
                    labelled = Math.max(labelled, batch.labelledRows().length);
                }
                assertTrue(labelled <= capacity.labelled());
            }
            assertTrue(Arrays.stream(tokens[0]).filter(id -> id == TOKENIZER.maskId()).count() > 0);
        }
    }

    @Test
    void whatCannotBePairedIsAnError() {
        String alone = assertThrows(WarpBertException.class, () -> sequences(documents(1), Objective.NSP, MAX_LENGTH)).getMessage();
        assertTrue(alone.contains("words.txt") && alone.contains("one document"), alone);
        assertTrue(sequences(documents(1), Objective.SOP, MAX_LENGTH).size() > 5, "order needs no other document");
        assertThrows(WarpBertException.class, () -> sequences(documents(2), Objective.NSP, 4));
        Documents words = new Documents(Path.of("words.txt"), List.of(List.of("w1"), List.of("w600")));
        assertThrows(WarpBertException.class, () -> sequences(words, Objective.NSP, MAX_LENGTH));
        assertEquals(2, sequences(words, Objective.MLM, MAX_LENGTH).size());
    }

    @Test
    void readsPlainText() throws IOException {
        Path file = Files.writeString(folder.resolve("plain.txt"), "\n\nOne. \nTwo = 2.\n \n\nThree <unk>.\n");
        assertEquals(List.of(List.of("One.", "Two = 2."), List.of("Three <unk>.")), Documents.read(file).documents());
        assertEquals(List.of(List.of("Three <unk>.")), Documents.read(file).select(new int[] {1}).documents());
        Path empty = Files.writeString(folder.resolve("empty.txt"), " \n\n");
        assertTrue(assertThrows(WarpBertException.class, () -> Documents.read(empty)).getMessage().contains("empty.txt holds no text"));
        assertThrows(WarpBertException.class, () -> Documents.read(folder.resolve("none.txt")));
    }

    @Test
    void readsWikiText() throws IOException {
        Path file = Files.writeString(folder.resolve("wiki.txt"), """

                 = Homarus gammarus =\s

                 It weighs 0 @.@ 7 – 2 @.@ 2 kg , 1 @,@ 000 well @-@ known <unk> .\s

                 = = Description = =\s
                 Second .\s
                 = = = Deep = = =\s

                 = A =\s
                 Third .\s
                """);
        assertEquals(List.of(List.of("It weighs 0.7 – 2.2 kg , 1,000 well-known [UNK] .", "Second ."), List.of("Third .")), Documents.read(file).documents());
    }

    /** WikiText-2's 60 articles for validation (Merity et al. 2017, table 1). */
    @Test
    void readsTheRealWikiText() {
        Documents read = Documents.read(TestData.shared("text/wikitext2-valid.txt"));
        assertEquals(60, read.documents().size());
        long words = read.documents().stream().flatMap(List::stream).mapToLong(line -> line.split(" ").length).sum();
        assertTrue(words > 190_000 && words < 220_000, "of its 217,646 tokens, less headings and joints: " + words);
    }
}
