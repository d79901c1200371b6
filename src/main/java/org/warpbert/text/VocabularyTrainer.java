package org.warpbert.text;

import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.warpbert.WarpBertException;
import org.warpbert.format.Vocabulary;

/**
 * Learns a WordPiece vocabulary from text, as Hugging Face's trainer of that name does: words begin as letters, and the pair of
 * pieces that occurs most often becomes a piece, again and again (Sennrich et al. 2016, section 3.2). The result is a
 * function of the words and their counts; of pairs that occur equally often the alphabetically first is joined.
 */
public final class VocabularyTrainer {
    private static final String INSIDE = "##";
    private static final int LEAST_COUNT = 2; // of a letter or pair
    private static final int LONGEST_WORD = 100; // code points; WordPiece makes [UNK] of longer ones

    private final int size;
    private final Map<String, Integer> ids = new LinkedHashMap<>(); // the vocabulary in id order
    private final List<String> pieces = new ArrayList<>();
    private final List<int[]> words = new ArrayList<>(); // as pieces
    private final List<Long> counts = new ArrayList<>(); // of each word
    private final Map<Long, Pair> pairs = new HashMap<>();
    private final PriorityQueue<Entry> queue = new PriorityQueue<>(Comparator.comparingLong((Entry entry) -> -entry.count)
            .thenComparing(entry -> pieces.get(entry.pair.left)).thenComparing(entry -> pieces.get(entry.pair.right)));

    /** Two neighbouring pieces, how often they occur, and the words that may hold them. */
    private static final class Pair {
        final int left;
        final int right;
        long count;
        final Set<Integer> words = new HashSet<>();

        Pair(int left, int right) {
            this.left = left;
            this.right = right;
        }
    }

    /** A pair with a count that it had when it was put in the queue. */
    private record Entry(Pair pair, long count) {}

    private VocabularyTrainer(int size) {
        this.size = size;
    }

    /**
     * Learns a vocabulary.
     *
     * @param lowerCase whether texts are to be lower-cased and stripped of accents
     * @param size      most pieces, special tokens included; fewer where no pair occurs twice any more
     * @return [PAD] [UNK] [CLS] [SEP] [MASK], the letters in order, and the pieces as they were learned
     */
    public static List<String> train(Documents documents, boolean lowerCase, int size) {
        return train(words(documents, lowerCase), size);
    }

    /** As {@link #train(Documents, boolean, int)}, from words and how often they occur. */
    static List<String> train(Map<String, Long> words, int size) {
        if (size <= Vocabulary.SPECIALS.size()) {
            throw new WarpBertException("A vocabulary of " + size + " pieces (--vocab-size) has no room for letters beside " + Vocabulary.SPECIALS + ".");
        }
        VocabularyTrainer trainer = new VocabularyTrainer(size);
        Vocabulary.SPECIALS.forEach(trainer::id);
        trainer.spell(new TreeMap<>(words)); // so that nothing depends on the order of a map
        trainer.merge();
        return trainer.pieces;
    }

    /** The words that BERT's own rules cut the texts to, and their counts. */
    private static Map<String, Long> words(Documents documents, boolean lowerCase) {
        Map<String, Long> words = new HashMap<>();
        try (WordPieceTokenizer cutter = new WordPieceTokenizer(Vocabulary.SPECIALS, lowerCase)) { // every word is one [UNK] to it
            for (List<String> lines : documents.documents()) {
                for (String line : lines) {
                    for (int[] place : cutter.offsets(line)) {
                        String word = line.substring(place[0], place[1]);
                        if (!Vocabulary.SPECIALS.contains(word)) {
                            words.merge(normalized(word, lowerCase), 1L, Long::sum);
                        }
                    }
                }
            }
        }
        words.remove("");
        return words;
    }

    /** What BERT's normaliser makes of a word. */
    private static String normalized(String word, boolean lowerCase) {
        StringBuilder kept = new StringBuilder();
        (lowerCase ? Normalizer.normalize(word, Normalizer.Form.NFD) : word).codePoints().filter(c -> switch (Character.getType(c)) {
            case Character.CONTROL, Character.FORMAT, Character.PRIVATE_USE, Character.SURROGATE, Character.UNASSIGNED -> false;
            case Character.NON_SPACING_MARK -> !lowerCase;
            default -> c != 0xFFFD;
        }).forEach(kept::appendCodePoint);
        return lowerCase ? kept.toString().toLowerCase(Locale.ROOT) : kept.toString();
    }

    private int id(String piece) {
        Integer known = ids.putIfAbsent(piece, pieces.size());
        if (known == null) {
            pieces.add(piece);
            return pieces.size() - 1;
        }
        return known;
    }

    /** Chooses the letters, half of the vocabulary at most, and writes every word that they can spell in them. */
    private void spell(TreeMap<String, Long> all) {
        Map<Integer, Long> letters = new TreeMap<>();
        all.forEach((word, count) -> word.codePoints().forEach(letter -> letters.merge(letter, count, Long::sum)));
        Set<Integer> chosen = new HashSet<>(letters.entrySet().stream().filter(entry -> entry.getValue() >= LEAST_COUNT)
                .sorted(Map.Entry.<Integer, Long>comparingByValue().reversed()) // stable: equals in the letters' order
                .limit(Math.max(1, (size - pieces.size()) / 4)) // each may stand in two forms
                .map(Map.Entry::getKey).toList());
        Map<String, String[]> spelled = new LinkedHashMap<>();
        Set<String> alphabet = new TreeSet<>();
        for (String word : all.keySet()) {
            int[] points = word.codePoints().toArray();
            if (points.length <= LONGEST_WORD && Arrays.stream(points).allMatch(chosen::contains)) {
                String[] forms = new String[points.length];
                Arrays.setAll(forms, i -> (i == 0 ? "" : INSIDE) + Character.toString(points[i]));
                spelled.put(word, forms);
                alphabet.addAll(Arrays.asList(forms));
            }
        }
        alphabet.forEach(this::id);
        spelled.forEach((word, forms) -> {
            words.add(Arrays.stream(forms).mapToInt(this::id).toArray());
            counts.add(all.get(word));
            count(words.size() - 1, 1);
        });
        pairs.values().forEach(this::enqueue);
    }

    /** Adds a word's pairs to their counts, or takes them away with sign -1. @return the pairs */
    private Set<Pair> count(int word, int sign) {
        Set<Pair> touched = new HashSet<>();
        int[] spelling = words.get(word);
        for (int i = 0; i + 1 < spelling.length; i++) {
            int left = spelling[i];
            int right = spelling[i + 1];
            Pair pair = pairs.computeIfAbsent((long) left << 32 | right, key -> new Pair(left, right));
            pair.count += sign * counts.get(word);
            pair.words.add(word);
            touched.add(pair);
        }
        return touched;
    }

    private void enqueue(Pair pair) {
        if (pair.count >= LEAST_COUNT) {
            queue.add(new Entry(pair, pair.count));
        }
    }

    private void merge() {
        while (pieces.size() < size && !queue.isEmpty()) {
            Entry best = queue.remove();
            if (best.count != best.pair.count) {
                continue; // it has changed since; its present count, if it is worth anything, is in the queue too
            }
            int joined = id(pieces.get(best.pair.left) + pieces.get(best.pair.right).substring(INSIDE.length()));
            Set<Pair> changed = new HashSet<>();
            for (int word : best.pair.words.toArray(Integer[]::new)) {
                changed.addAll(count(word, -1));
                words.set(word, joined(words.get(word), best.pair, joined));
                changed.addAll(count(word, 1));
            }
            best.pair.words.clear();
            changed.forEach(this::enqueue);
        }
    }

    private static int[] joined(int[] spelling, Pair pair, int joined) {
        int[] shorter = new int[spelling.length];
        int length = 0;
        for (int i = 0; i < spelling.length; i++) {
            boolean here = i + 1 < spelling.length && spelling[i] == pair.left && spelling[i + 1] == pair.right;
            shorter[length++] = here ? joined : spelling[i];
            i += here ? 1 : 0;
        }
        return Arrays.copyOf(shorter, length);
    }
}
