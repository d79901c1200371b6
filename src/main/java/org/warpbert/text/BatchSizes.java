package org.warpbert.text;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.warpbert.WarpBertException;

/** How large batches are, example by example: what micro-batches are planned by. */
public final class BatchSizes {
    private static final int MOST = 1 << 27; // a float for each token, sequence and label is still a block of less than 2 GiB

    private final Iterable<Capacity[]> batches;
    private final Capacity largest;
    private final Capacity largestExample;
    private final long meanTokens;

    /** @param batches the sizes of each batch's examples; gone through more than once */
    BatchSizes(Iterable<Capacity[]> batches) {
        this.batches = batches;
        Capacity most = Capacity.NONE;
        Capacity example = Capacity.NONE;
        long tokens = 0;
        long count = 0;
        for (Capacity[] batch : batches) {
            Capacity sum = Capacity.NONE;
            for (Capacity one : batch) {
                sum = sum.plus(one);
                example = example.max(one);
            }
            most = most.max(sum);
            tokens += sum.tokens();
            count++;
        }
        largest = most;
        largestExample = example;
        meanTokens = tokens / Math.max(1, count);
    }

    private BatchSizes(Iterable<Capacity[]> batches, Capacity largest, Capacity largestExample, long meanTokens) {
        this.batches = batches;
        this.largest = largest;
        this.largestExample = largestExample;
        this.meanTokens = meanTokens;
    }

    /** Of these batches, with room for others' as well. */
    public BatchSizes withRoomFor(BatchSizes others) {
        return new BatchSizes(batches, largest.max(others.largest), largestExample.max(others.largestExample), meanTokens);
    }

    /** The worst that may come: every batch is full of the largest example. */
    public static BatchSizes worst(Capacity example, int batchSize) {
        if ((long) batchSize * Math.max(example.tokens(), example.labels()) > MOST) {
            throw new WarpBertException("a batch of " + batchSize + " examples (--batch-size) of " + example.tokens() + " tokens (--max-length) and "
                    + example.labels() + " labels (--labels) each holds more than can be counted");
        }
        return new BatchSizes(List.<Capacity[]>of(Collections.nCopies(batchSize, example).toArray(Capacity[]::new)));
    }

    /** Of one batch. */
    public static BatchSizes of(PackedBatch batch) {
        return new BatchSizes(List.<Capacity[]>of(MicroBatches.sizes(batch)));
    }

    /** The most that any batch holds. */
    public Capacity largest() {
        return largest;
    }

    /** The most that any example holds: what a micro-batch must hold at least. */
    public Capacity largestExample() {
        return largestExample;
    }

    /** Tokens of a batch, on average. */
    public long meanTokens() {
        return meanTokens;
    }

    /** How many micro-batches the batches fall into. */
    public record Parts(int most, double mean) {}

    /** The parts that batches are cut into by micro-batches of this size. */
    public Parts parts(Capacity microBatch) {
        if (microBatch.holds(largest)) {
            return new Parts(1, 1);
        }
        int most = 1;
        long sum = 0;
        long count = 0;
        for (Capacity[] batch : batches) {
            Capacity whole = Arrays.stream(batch).reduce(Capacity.NONE, Capacity::plus);
            int parts = microBatch.holds(whole) ? 1 : MicroBatches.cut(batch, microBatch).size();
            most = Math.max(most, parts);
            sum += parts;
            count++;
        }
        return new Parts(most, (double) sum / count);
    }

    /**
     * What a micro-batch of so many tokens is to hold: of labelled tokens a quarter more than its share, so that one with
     * more than others of them need not be cut again; of sequences any number, for they take next to nothing.
     */
    public Capacity microBatch(int tokens) {
        if (tokens >= largest.tokens()) {
            return largest;
        }
        long share = ((long) largest.labelled() * tokens * 5 / 4 + largest.tokens() - 1) / largest.tokens();
        int labelled = (int) Math.min(Math.min(tokens, largest.labelled()), Math.max(share, largestExample.labelled()));
        return new Capacity(tokens, Math.min(tokens, largest.sequences()), Math.min(tokens, largest.examples()), largest.labels(), labelled);
    }
}
