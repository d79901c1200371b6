package org.warpbert.check;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.warpbert.WarpBertException;
import org.warpbert.format.ModelFolder;
import org.warpbert.model.BertConfig;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;
import org.warpbert.text.TextTable;
import org.warpbert.text.WordPieceTokenizer;

/** The batches that training is checked with, the same in every run. */
final class CheckBatches {
    static final int LONGEST = 64;

    private static final int SHORTEST_MADE = 4; // lengths as CoLA's sentences have them
    private static final int LONGEST_MADE = 26;
    private static final int SIGNAL = 5; // the two words that tell the classes apart; words begin above them
    private static final int FIRST_WORD = 10;

    private CheckBatches() {}

    /** The model that is checked: bert-base's sizes on a GPU, two layers of 64 under simt. */
    static BertConfig config(String device) {
        return device.equals("cuda") ? BertConfig.ofSizes(30522, 768, 12, 12, 3072, 512, 2) : BertConfig.ofSizes(200, 64, 2, 2, 128, 64, 2);
    }

    /** Made-up sentences of two classes that differ in which of two words is frequent, so that there is something to learn. */
    static List<PackedBatch> made(int count, int size, int vocabulary) {
        SplittableRandom random = new SplittableRandom(1000);
        List<PackedBatch> batches = new ArrayList<>();
        for (int step = 0; step < count; step++) {
            List<Encoded> sequences = new ArrayList<>();
            int[] labels = new int[size];
            for (int b = 0; b < size; b++) {
                labels[b] = random.nextInt(2);
                int[] tokens = new int[random.nextInt(SHORTEST_MADE, LONGEST_MADE + 1)];
                for (int t = 0; t < tokens.length; t++) {
                    tokens[t] = random.nextInt(4) == 0 ? SIGNAL + labels[b] : random.nextInt(FIRST_WORD, vocabulary);
                }
                sequences.add(new Encoded(tokens, new byte[tokens.length], false));
            }
            batches.add(PackedBatch.of(sequences, labels));
        }
        return batches;
    }

    /** A file's sentences in its order: CoLA's columns, of which the second is the label, 0 or 1, and the fourth the sentence. */
    static List<PackedBatch> of(Path file, ModelFolder model, int count, int size) {
        List<String> texts = new ArrayList<>();
        List<Integer> labels = new ArrayList<>();
        try (TextTable table = TextTable.open(file, TextTable.Options.DEFAULT.withoutHeader())) {
            int label = table.column("1");
            int text = table.column("3");
            for (TextTable.Row row = table.next(); row != null && texts.size() < count * size; row = table.next()) {
                if (!row.get(label).matches("[01]")) {
                    throw new WarpBertException(file + ", line " + row.line() + ": the label is '" + row.get(label) + "', it must be 0 or 1");
                }
                labels.add(Integer.parseInt(row.get(label)));
                texts.add(row.get(text));
            }
        }
        List<PackedBatch> batches = new ArrayList<>();
        try (WordPieceTokenizer tokenizer = new WordPieceTokenizer(model.vocabulary(), model.lowerCase(), model.addedTokens())) {
            for (int at = 0; at + size <= texts.size(); at += size) {
                batches.add(PackedBatch.of(tokenizer.encode(texts.subList(at, at + size), null, LONGEST),
                        labels.subList(at, at + size).stream().mapToInt(i -> i).toArray()));
            }
        }
        if (batches.isEmpty()) {
            throw new WarpBertException(file + " has " + texts.size() + " sentences, at least " + size + " are needed");
        }
        return batches;
    }
}
