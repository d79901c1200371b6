package org.warpbert.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.warpbert.WarpBertException;

/**
 * Sentences of words, with a label on the first piece of each word and none on the others (Devlin et al. 2019, section
 * 5.3). A word that the tokenizer leaves nothing of (control characters alone) is {@code [UNK]}: every word has a piece, and
 * only the words behind a cut at the maximum length have none.
 */
public final class WordPieces implements InstanceSource {
    private final WordPieceTokenizer tokenizer;
    private final List<List<String>> sentences;
    private final int[][] labels;
    private final int maxLength;

    /**
     * @param sentences words of each, at least one
     * @param labels    class of each word; null: 0, which only says where the words begin
     * @param maxLength most tokens of a sequence, special tokens included
     */
    public WordPieces(WordPieceTokenizer tokenizer, List<List<String>> sentences, int[][] labels, int maxLength) {
        if (labels != null && labels.length != sentences.size()) {
            throw new WarpBertException(sentences.size() + " sentences were given " + labels.length + " rows of labels.");
        }
        this.tokenizer = tokenizer;
        this.sentences = sentences;
        this.labels = labels;
        this.maxLength = maxLength;
    }

    @Override
    public int size() {
        return sentences.size();
    }

    @Override
    public List<Instance> encode(int[] rows) {
        List<String> words = new ArrayList<>();
        for (int row : rows) {
            words.addAll(sentences.get(row));
        }
        List<int[]> pieces = tokenizer.ids(words);
        List<Instance> instances = new ArrayList<>(rows.length);
        int from = 0;
        for (int row : rows) {
            int to = from + sentences.get(row).size();
            instances.add(instance(pieces.subList(from, to), labels == null ? new int[to - from] : labels[row]));
            from = to;
        }
        return instances;
    }

    private Instance instance(List<int[]> words, int[] classes) {
        List<int[]> known = words.stream().map(word -> word.length == 0 ? new int[] {tokenizer.unkId()} : word).toList();
        Encoded encoded = Encoded.join(known.stream().flatMapToInt(Arrays::stream).toArray(), null, tokenizer.clsId(), tokenizer.sepId(), maxLength);
        int[] tokenLabels = new int[encoded.length()];
        Arrays.fill(tokenLabels, PackedBatch.IGNORE);
        int at = 1; // behind [CLS]
        for (int w = 0; w < classes.length && at < encoded.length() - 1; w++) {
            tokenLabels[at] = classes[w];
            at += known.get(w).length;
        }
        return Instance.ofTokens(encoded, tokenLabels);
    }
}
