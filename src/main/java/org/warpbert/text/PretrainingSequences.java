package org.warpbert.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.warpbert.WarpBertException;

/**
 * Sequences cut from running text, to pre-train on, as Devlin et al. 2019, appendix A.2, cut theirs: texts fill a sequence, one
 * in ten is shorter, so that short texts are seen too; of a pair's texts the wrong second ones come from another document at
 * random. Which they are is a function of the seed; the masks are drawn anew in every epoch.
 *
 * <p>No text is lost to cutting but what a pair is too long by: lines are taken whole while they fit; a longer one is cut after
 * the end of a sentence, else before a word.
 */
public final class PretrainingSequences implements InstanceSource {
    private static final double SHORTER = 0.1;
    private static final List<String> SENTENCE_ENDS = List.of(".", "!", "?", "。", "！", "？");

    private final WordPieceTokenizer tokenizer;
    private final boolean[] ends; // by piece
    private final Masking masking;
    private final List<Encoded> sequences = new ArrayList<>();
    private final List<Integer> relations = new ArrayList<>(); // of each sequence; empty without pairs

    /**
     * @param maxLength most tokens of a sequence, special tokens included
     * @param seed      of the pairs
     */
    public PretrainingSequences(Documents documents, Objective objective, WordPieceTokenizer tokenizer, Masking masking, int maxLength,
            long seed) {
        this.tokenizer = tokenizer;
        this.masking = masking;
        ends = new boolean[tokenizer.vocabularySize()];
        for (String end : SENTENCE_ENDS) {
            int id = tokenizer.vocabulary().indexOf(end);
            if (id >= 0) {
                ends[id] = true;
            }
        }
        List<List<int[]>> pieces = documents.documents().stream()
                .map(lines -> tokenizer.ids(lines).stream().filter(ids -> ids.length > 0).toList()).filter(lines -> !lines.isEmpty()).toList();
        if (objective.pairs()) {
            if (maxLength < 5) {
                throw new WarpBertException("The maximum length (--max-length) is " + maxLength + ", which has no room for two texts; it must be at least 5.");
            }
            pairs(pieces, objective, maxLength - 3, new Draw(seed, 0), documents);
        } else {
            for (List<int[]> document : pieces) {
                cut(concatenated(document), maxLength - 2).forEach(text -> sequences.add(join(text, null)));
            }
        }
        if (sequences.isEmpty()) {
            throw new WarpBertException(documents.file() + " is too short: no sequence can be made of its text.");
        }
    }

    private void pairs(List<List<int[]>> lines, Objective objective, int budget, Draw draw, Documents from) {
        List<List<int[]>> documents = new ArrayList<>();
        for (List<int[]> document : lines) {
            List<int[]> segments = new ArrayList<>();
            document.forEach(line -> segments.addAll(cut(line, Math.max(1, budget / 2))));
            documents.add(segments);
        }
        if (objective == Objective.NSP && documents.size() < 2) {
            throw new WarpBertException(from.file() + " is one document; wrong next sentences come from another: put blank lines between"
                    + " documents, or choose another objective.");
        }
        for (int d = 0; d < documents.size(); d++) {
            List<int[]> segments = new ArrayList<>(documents.get(d)); // of a segment that stands alone two are made
            for (int i = 0; i < segments.size(); ) {
                i += pair(documents, d, segments, i, objective, draw.uniform() < SHORTER ? 2 + draw.below(budget - 1) : budget, budget, draw);
            }
        }
    }

    /** Makes a pair of the segments from {@code i} on, {@code wanted} pieces of them. @return how many are used up */
    private int pair(List<List<int[]>> documents, int d, List<int[]> segments, int i, Objective objective, int wanted, int budget, Draw draw) {
        int end = i;
        for (int length = 0; end < segments.size() && length < wanted; end++) {
            length += segments.get(end).length;
        }
        if (end == i + 1) {
            int[] whole = segments.get(i);
            int middle = wordStart(whole, (whole.length + 1) / 2);
            middle = middle > 0 ? middle : wordStart(whole, whole.length - 1);
            if (middle == 0) {
                return 1; // a word alone is no pair
            }
            segments.set(i, Arrays.copyOf(whole, middle));
            segments.add(end++, Arrays.copyOfRange(whole, middle, whole.length));
        }
        int split = i + 1 + draw.below(end - i - 1);
        int[] first = concatenated(segments.subList(i, split));
        int[] second = concatenated(segments.subList(split, end));
        boolean wrong = draw.below(2) == 1;
        int used = end - i;
        if (wrong && objective == Objective.SOP) {
            int[] swapped = first;
            first = second;
            second = swapped;
        } else if (wrong) {
            int other = draw.below(documents.size() - 1);
            second = some(documents.get(other < d ? other : other + 1), Math.max(1, wanted - first.length), draw);
            used = split - i; // the true second text is free for the next pair
        }
        int[][] fitting = truncated(first, second, budget, draw);
        sequences.add(join(fitting[0], fitting[1]));
        relations.add(wrong ? 1 : 0);
        return used;
    }

    /** A document's segments from a random one on, until there are so many pieces. */
    private static int[] some(List<int[]> document, int wanted, Draw draw) {
        int from = draw.below(document.size());
        int end = from;
        for (int length = 0; end < document.size() && length < wanted; end++) {
            length += document.get(end).length;
        }
        return concatenated(document.subList(from, end));
    }

    /** Takes pieces off the longer text, from its beginning or its end as a coin says, until both fit. */
    private static int[][] truncated(int[] first, int[] second, int budget, Draw draw) {
        int[][] from = {{0, first.length}, {0, second.length}};
        for (int length = first.length + second.length; length > budget; length--) {
            int[] longer = from[0][1] - from[0][0] > from[1][1] - from[1][0] ? from[0] : from[1];
            if (draw.below(2) == 0) {
                longer[0]++;
            } else {
                longer[1]--;
            }
        }
        return new int[][] {Arrays.copyOfRange(first, from[0][0], from[0][1]), Arrays.copyOfRange(second, from[1][0], from[1][1])};
    }

    /** The text in parts of at most so many pieces: each ends with a sentence where one ends in its later half, else with a word. */
    private List<int[]> cut(int[] text, int limit) {
        List<int[]> parts = new ArrayList<>();
        int from = 0;
        while (text.length - from > limit) {
            int end = from + limit;
            while (end > from + limit / 2 && !ends[text[end - 1]]) {
                end--;
            }
            if (end == from + limit / 2) {
                end = from + wordStart(Arrays.copyOfRange(text, from, from + limit + 1), limit);
            }
            end = end == from ? from + limit : end;
            parts.add(Arrays.copyOfRange(text, from, end));
            from = end;
        }
        parts.add(Arrays.copyOfRange(text, from, text.length));
        return parts;
    }

    /** The last place up to this one where a word begins; 0 where there is none but the first. */
    private int wordStart(int[] text, int place) {
        while (place > 0 && (place >= text.length || tokenizer.token(text[place]).startsWith("##"))) {
            place--;
        }
        return place;
    }

    private static int[] concatenated(List<int[]> parts) {
        return parts.stream().flatMapToInt(Arrays::stream).toArray();
    }

    private Encoded join(int[] first, int[] second) {
        return Encoded.join(first, second, tokenizer.clsId(), tokenizer.sepId(), Integer.MAX_VALUE);
    }

    @Override
    public int size() {
        return sequences.size();
    }

    @Override
    public List<Instance> encode(int[] rows) {
        return IntStream.of(rows).mapToObj(row -> relations.isEmpty() ? masking.prepare(sequences.get(row))
                : masking.prepare(sequences.get(row), relations.get(row))).toList();
    }

    @Override
    public Instance draw(Instance instance, int row, int epoch) {
        return masking.draw(instance, row, epoch);
    }
}
