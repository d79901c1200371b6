package org.warpbert.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.warpbert.WarpBertException;

/**
 * Which pieces of a sequence a masked language model is asked for, and what stands in their place (Devlin et al. 2019, section
 * 3.1 and appendix A.1): of those chosen 80 % become [MASK], 10 % a random piece, 10 % stay. Special tokens are never chosen.
 *
 * <p>How many are chosen is a function of the sequence alone, so that the memory of a run is known before its first draw:
 * {@code round(share * pieces)}, at least one. Where words are chosen whole, it is the largest number not above that which
 * some of the words add up to, or the shortest word's where they are all longer.
 */
public final class Masking {
    /** What Devlin et al. 2019 mask. */
    public static final double SHARE = 0.15;
    private static final double MASKED = 0.8;
    private static final double REPLACED = 0.1;

    private final double share;
    private final boolean wholeWords;
    private final long seed;
    private final int mask;
    private final boolean[] special; // by piece
    private final boolean[] continuation; // by piece
    private final int[] ordinary; // pieces that are not special

    /**
     * @param share      of the pieces, in (0, 1)
     * @param wholeWords whether all pieces of a word are chosen or none (Devlin et al.'s later models)
     * @param seed       what draws are a function of, with row and epoch
     */
    public Masking(WordPieceTokenizer tokenizer, double share, boolean wholeWords, long seed) {
        if (!(share > 0 && share < 1)) {
            throw new WarpBertException("The share of masked pieces must lie between 0 and 1, not " + share + ".");
        }
        this.share = share;
        this.wholeWords = wholeWords;
        this.seed = ~seed; // other streams than the order of the batches draws from
        mask = tokenizer.maskId();
        special = tokenizer.special();
        continuation = new boolean[tokenizer.vocabularySize()];
        for (int id = 0; id < continuation.length; id++) {
            continuation[id] = tokenizer.token(id).startsWith("##");
        }
        ordinary = IntStream.range(0, special.length).filter(id -> !special[id]).toArray();
    }

    /**
     * The sequence as it was, with as many labelled tokens as every {@link #draw} of it will have.
     *
     * @param labels of the sequence as a whole
     */
    Instance prepare(Encoded sequence, int... labels) {
        int[] chosen = new int[sequence.length()];
        Arrays.fill(chosen, PackedBatch.IGNORE);
        int count = count(words(sequence.tokens()));
        for (int i = 0; count > 0; i++) {
            if (!special[sequence.tokens()[i]]) {
                chosen[i] = sequence.tokens()[i];
                count--;
            }
        }
        return new Instance(List.of(sequence), labels, new int[][] {chosen});
    }

    /** Masks a {@link #prepare}d sequence: for every row and epoch anew. */
    Instance draw(Instance prepared, int row, int epoch) {
        Draw draw = new Draw(seed, (long) epoch << 32 | row);
        Encoded sequence = prepared.sequences().get(0);
        int[] tokens = sequence.tokens().clone();
        int[] labels = new int[tokens.length];
        Arrays.fill(labels, PackedBatch.IGNORE);
        for (int[] word : choose(words(tokens), draw)) {
            for (int at = word[0]; at < word[0] + word[1]; at++) {
                labels[at] = tokens[at];
                double what = draw.uniform();
                if (what < MASKED) {
                    tokens[at] = mask;
                } else if (what < MASKED + REPLACED) {
                    tokens[at] = ordinary[draw.below(ordinary.length)];
                }
            }
        }
        return new Instance(List.of(new Encoded(tokens, sequence.segments(), sequence.truncated())), prepared.labels(), new int[][] {labels});
    }

    /** What is chosen or left together: first token and length of each word, or of each piece. */
    private List<int[]> words(int[] tokens) {
        List<int[]> words = new ArrayList<>();
        for (int at = 0; at < tokens.length; at++) {
            if (special[tokens[at]]) {
                continue;
            }
            boolean goesOn = wholeWords && continuation[tokens[at]] && at > 0 && !special[tokens[at - 1]];
            if (goesOn) {
                words.get(words.size() - 1)[1]++;
            } else {
                words.add(new int[] {at, 1});
            }
        }
        return words;
    }

    /** Pieces to choose. */
    private int count(List<int[]> words) {
        int pieces = words.stream().mapToInt(word -> word[1]).sum();
        int wanted = (int) Math.max(Math.min(1, pieces), Math.round(share * pieces));
        boolean[] sums = reachable(words, wanted)[0];
        int count = wanted;
        while (count > 0 && !sums[count]) {
            count--;
        }
        return count > 0 ? count : words.stream().mapToInt(word -> word[1]).min().orElse(0);
    }

    /** For each word, whether it and those after it have some among them that add up to so many pieces, up to {@code most}. */
    private static boolean[][] reachable(List<int[]> words, int most) {
        boolean[][] sums = new boolean[words.size() + 1][most + 1];
        sums[words.size()][0] = true;
        for (int w = words.size() - 1; w >= 0; w--) {
            int size = words.get(w)[1];
            for (int sum = 0; sum <= most; sum++) {
                sums[w][sum] = sums[w + 1][sum] || sum >= size && sums[w + 1][sum - size];
            }
        }
        return sums;
    }

    /** Words in random order, each taken where the rest can still be made up by those that follow. */
    private List<int[]> choose(List<int[]> words, Draw draw) {
        int left = count(words);
        int[] order = IntStream.range(0, words.size()).toArray();
        draw.shuffle(order);
        List<int[]> shuffled = Arrays.stream(order).mapToObj(words::get).toList();
        boolean[][] sums = reachable(shuffled, left);
        List<int[]> chosen = new ArrayList<>();
        for (int w = 0; left > 0; w++) {
            int size = shuffled.get(w)[1];
            if (size <= left && sums[w + 1][left - size]) {
                chosen.add(shuffled.get(w));
                left -= size;
            }
        }
        return chosen;
    }
}
