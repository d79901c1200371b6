package org.warpbert.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.warpbert.model.BertConfig;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;

/**
 * Random words in sequences of given lengths, with labels of two classes: the same ones each time.
 *
 * @param sequences without padding
 */
record RandomBatch(List<Encoded> sequences, int[] labels) {
    private static final long SEED = 42;
    private static final int FIRST_WORD = 1000; // below are [unused] and special tokens

    static RandomBatch of(BertConfig config, int[] lengths) {
        SplittableRandom random = new SplittableRandom(SEED);
        int words = config.vocabSize();
        List<Encoded> sequences = new ArrayList<>();
        for (int n : lengths) {
            sequences.add(new Encoded(random.ints(n, Math.min(FIRST_WORD, words / 2), words).toArray(), new byte[n], false));
        }
        return new RandomBatch(sequences, random.ints(lengths.length, 0, BenchModel.CLASSES).toArray());
    }

    PackedBatch packed() {
        return PackedBatch.of(sequences, labels);
    }
}
