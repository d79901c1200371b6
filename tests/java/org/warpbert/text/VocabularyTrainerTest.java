package org.warpbert.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.warpbert.WarpBertException;
import org.warpbert.format.Vocabulary;

class VocabularyTrainerTest {
    /** Sennrich et al.'s example, by hand: es 9, est 9, lo 7, low 7, ##ew 6 … */
    @Test
    void joinsTheMostFrequentPairFirst() {
        Map<String, Long> words = Map.of("low", 5L, "lower", 2L, "newest", 6L, "widest", 3L);
        List<String> learned = VocabularyTrainer.train(words, 200);
        List<String> letters = List.of("##d", "##e", "##i", "##o", "##r", "##s", "##t", "##w", "l", "n", "w");
        assertEquals(Vocabulary.SPECIALS, learned.subList(0, 5));
        assertEquals(letters, learned.subList(5, 16));
        // equal counts: "##e" + "##s" before "##s" + "##t", then what is left
        assertEquals(List.of("##es", "##est", "##ow", "low"), learned.subList(16, 20));
        assertTrue(learned.containsAll(List.of("newest", "widest", "lower")), learned.toString());
        assertEquals(learned.size(), new HashSet<>(learned).size(), "no piece stands twice");
    }

    /** Counts kept up to date pair by pair give what counting all anew before every join gives. */
    @Test
    void agreesWithCountingAllAnew() {
        Map<String, Long> words = new HashMap<>();
        SplittableRandom random = new SplittableRandom(2);
        for (int i = 0; i < 300; i++) {
            StringBuilder word = new StringBuilder();
            int length = 1 + random.nextInt(9);
            for (int c = 0; c < length; c++) {
                word.append("aabbcde".charAt(random.nextInt(7)));
            }
            words.put(word.toString(), 1L + random.nextInt(50));
        }
        assertEquals(slow(words, 150), VocabularyTrainer.train(words, 150));
    }

    private static List<String> slow(Map<String, Long> words, int size) {
        TreeSet<String> alphabet = new TreeSet<>();
        Map<List<String>, Long> spelled = new HashMap<>();
        words.forEach((word, count) -> {
            List<String> spelling = new ArrayList<>();
            for (int i = 0; i < word.length(); i++) {
                spelling.add((i == 0 ? "" : "##") + word.charAt(i));
            }
            alphabet.addAll(spelling);
            spelled.put(spelling, count);
        });
        List<String> learned = new ArrayList<>(Vocabulary.SPECIALS);
        learned.addAll(alphabet);
        while (learned.size() < size) {
            Map<List<String>, Long> pairs = new HashMap<>();
            spelled.forEach((spelling, count) -> {
                for (int i = 0; i + 1 < spelling.size(); i++) {
                    pairs.merge(spelling.subList(i, i + 2), count, Long::sum);
                }
            });
            long most = pairs.values().stream().mapToLong(c -> c).max().orElse(0);
            if (most < 2) {
                break;
            }
            List<String> best = pairs.entrySet().stream().filter(e -> e.getValue() == most).map(Map.Entry::getKey)
                    .min(Comparator.comparing((List<String> p) -> p.get(0)).thenComparing(p -> p.get(1))).orElseThrow();
            String joined = best.get(0) + best.get(1).substring(2);
            if (!learned.contains(joined)) {
                learned.add(joined);
            }
            Map<List<String>, Long> next = new HashMap<>();
            spelled.forEach((spelling, count) -> {
                List<String> shorter = new ArrayList<>();
                for (int i = 0; i < spelling.size(); i++) {
                    boolean here = i + 1 < spelling.size() && spelling.subList(i, i + 2).equals(best);
                    shorter.add(here ? joined : spelling.get(i));
                    i += here ? 1 : 0;
                }
                next.merge(shorter, count, Long::sum);
            });
            spelled.clear();
            spelled.putAll(next);
        }
        return learned;
    }

    @Test
    void lettersAreThoseOfBertsOwnNormaliser() {
        Documents text = new Documents(Path.of("x"), List.of(List.of("Été été ÉTÉ\u200b 北京 北京 don't [MASK] x")));
        List<String> uncased = VocabularyTrainer.train(text, true, 60);
        assertTrue(uncased.contains("ete") && uncased.contains("北") && uncased.contains("京"), uncased.toString());
        assertTrue(uncased.stream().noneMatch(piece -> piece.contains("é") || piece.contains("\u200b") || piece.contains("北京")), uncased.toString());
        assertTrue(!uncased.contains("x"), "a letter that occurs once is not learned");
        List<String> cased = VocabularyTrainer.train(text, false, 60);
        assertTrue(cased.contains("É") && cased.contains("é"), cased.toString());
        assertTrue(assertThrows(WarpBertException.class, () -> VocabularyTrainer.train(text, true, 5)).getMessage().contains("5 pieces"));
    }

    /** Of real English: exactly as many pieces as asked for, every learned word in one, few [UNK], and close to BERT's own length. */
    @Test
    void learnsEnglishFromRealText() {
        Documents text = Documents.read(TestData.shared("text/wikitext2-valid.txt"));
        List<String> learned = VocabularyTrainer.train(text, true, 4000);
        assertEquals(4000, learned.size());
        assertEquals(learned, VocabularyTrainer.train(text, true, 4000), "twice the same");
        assertTrue(learned.containsAll(List.of("the", "of", "##ing", "##ed", "which", "##ly")), "common pieces");
        Documents other = Documents.read(TestData.shared("text/wikitext2-test.txt"));
        List<String> lines = other.documents().stream().flatMap(List::stream).toList();
        try (WordPieceTokenizer ours = new WordPieceTokenizer(learned, true); WordPieceTokenizer bert = TestData.uncased()) {
            long unknown = 0;
            long pieces = 0;
            for (int[] ids : ours.ids(lines.stream().map(line -> line.replace("[UNK]", "")).toList())) {
                pieces += ids.length;
                unknown += Arrays.stream(ids).filter(id -> id == ours.unkId()).count();
            }
            long berts = bert.ids(lines).stream().mapToLong(ids -> ids.length).sum();
            assertTrue(unknown < 0.001 * pieces, unknown + " of " + pieces + " pieces are [UNK]");
            assertTrue(pieces < 1.35 * berts, pieces + " pieces with 4,000, " + berts + " with BERT's 30,522");
        }
    }
}
