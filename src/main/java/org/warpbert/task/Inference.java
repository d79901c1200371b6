package org.warpbert.task;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.function.BiConsumer;
import org.warpbert.WarpBertException;
import org.warpbert.model.BertModel;
import org.warpbert.model.Head;
import org.warpbert.model.PlannedModel;
import org.warpbert.text.BatchLoader;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.Instance;
import org.warpbert.text.InstanceSource;
import org.warpbert.text.PackedBatch;

/**
 * A finished model and its head, answering call after call. Buffers stay from one call to the next, and are made anew where a
 * batch is larger than any before. Of many texts only some are tokenised at a time.
 */
final class Inference<H extends Head> implements AutoCloseable {
    private static final int AT_ONCE = 1024; // examples tokenised together, or a batch where that is more

    private final OpenModel opened;
    private final H head;
    private final boolean evaluated;
    private PlannedModel model;
    private BatchSizes sizes; // that the model is planned for

    /** @param opened remains the caller's to close, which closes this first */
    Inference(OpenModel opened, H head) {
        this(opened, head, false);
    }

    /** @param evaluated whether the head's answers come only of its evaluation */
    Inference(OpenModel opened, H head, boolean evaluated) {
        this.opened = opened;
        this.head = head;
        this.evaluated = evaluated;
        opened.closeFirst(this::close);
    }

    H head() {
        return head;
    }

    /**
     * Runs {@code each} after the forward of every batch, or of every part of one that memory does not hold whole.
     *
     * @param source has at least one example
     * @return how many were cut
     */
    int run(InstanceSource source, int batchSize, BiConsumer<BertModel, PackedBatch> each) {
        int most = Math.max(1, AT_ONCE / Math.max(1, batchSize)) * batchSize; // whole batches
        int cut = 0;
        int from = 0;
        for (; most > 0 && from < source.size() - most; from += most) {
            cut += runAtOnce(new Part(source, from, most), batchSize, each);
        }
        return cut + runAtOnce(new Part(source, from, source.size() - from), batchSize, each);
    }

    /** Neighbours among the examples. */
    private record Part(InstanceSource all, int from, int size) implements InstanceSource {
        @Override
        public List<Instance> encode(int[] rows) {
            return all.encode(Arrays.stream(rows).map(row -> from + row).toArray());
        }
    }

    private int runAtOnce(InstanceSource source, int batchSize, BiConsumer<BertModel, PackedBatch> each) {
        try (BatchLoader loader = new BatchLoader(source, batchSize, 0, false)) {
            plan(loader.sizes(0, 1));
            for (Iterator<PackedBatch> batches = loader.epoch(0, 0); batches.hasNext(); ) {
                model.infer(batches.next(), evaluated, each);
            }
            return loader.truncated();
        } catch (RuntimeException | Error e) {
            sizes = null; // the next call is planned for alone: it may have room where this one had none
            throw e;
        }
    }

    private void plan(BatchSizes wanted) {
        if (sizes == null || !sizes.largest().holds(wanted.largest()) || !sizes.largestExample().holds(wanted.largestExample())) {
            BatchSizes grown = sizes == null ? wanted : wanted.withRoomFor(sizes);
            release();
            model = PlannedModel.inference(opened.backend(), opened.config(), opened.parameters(), head, grown, opened.note());
            sizes = grown;
        }
    }

    /** Gives the buffers back until the next call. */
    void release() {
        if (model != null) {
            model.close();
            model = null;
            sizes = null;
        }
    }

    @Override
    public void close() {
        release();
    }

    /** A copy of a list that is its caller's to change; fails where the list or one in it is null, and names it. */
    static <T> List<T> requireAll(String what, List<T> all) {
        if (all == null) {
            throw new WarpBertException("the " + what + " list is null");
        }
        List<T> copy = new ArrayList<>(all);
        int missing = copy.indexOf(null);
        if (missing >= 0) {
            throw new WarpBertException(what + " " + (missing + 1) + " of " + copy.size() + " is null");
        }
        return copy;
    }

    /** What becomes of texts that are too long. */
    static String cutTo(int maxLength) {
        return "cut to " + maxLength + " tokens";
    }
}
