package org.warpbert.train;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Event;
import org.warpbert.backend.HostMemory;
import org.warpbert.memory.Arena;
import org.warpbert.model.LossTerm;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/**
 * What one step tells the host: the losses of its micro-batches and the optimizer's statistics. The copies to page-locked
 * memory are queued among the step's own work, so the host goes on and reads them when it likes. It also sums the losses, in
 * float64 and in their order.
 */
final class ReadBack implements AutoCloseable {
    private static final int STATS = 3; // of wb_gradient_norm

    private final Backend backend;
    private final Event event;
    private HostMemory host;
    private int[] counts = new int[4]; // losses of each term of each micro-batch, in their order
    private int terms;
    private int losses;

    /** @param largest the largest batch that is expected */
    ReadBack(Backend backend, Capacity largest) {
        this.backend = backend;
        this.event = backend.event();
        try {
            host = backend.allocateHost("the read-back", bytes(largest));
        } catch (RuntimeException e) {
            event.close();
            throw e;
        }
    }

    /** A head has losses of tokens, sequences or labels, no more than one for each. */
    private static int bytes(int tokens, int labels, int sequences) {
        return Math.multiplyExact(Float.BYTES, Math.addExact(Math.addExact(STATS + tokens, labels), sequences));
    }

    /** What one takes of the host for batches up to this. */
    static int bytes(Capacity largest) {
        return bytes(largest.tokens(), largest.labels(), largest.sequences());
    }

    /** A step on this batch begins, or begins again. What was read back before is over. */
    void begin(PackedBatch batch) {
        int needed = bytes(batch.totalTokens(), batch.labels().length, batch.sequences());
        if (needed > host.buffer().capacity()) {
            HostMemory small = host;
            host = backend.allocateHost("the read-back", needed);
            small.close();
        }
        terms = 0;
        losses = 0;
    }

    /** Queues the copies of a micro-batch's losses. */
    void add(List<LossTerm> batch) {
        for (int i = 0; i < batch.size(); i++) { // an iterator would be garbage
            LossTerm term = batch.get(i);
            copy(term.losses(), term.count(), STATS + losses);
            if (terms == counts.length) {
                counts = Arrays.copyOf(counts, 2 * terms);
            }
            counts[terms++] = term.count();
            losses += term.count();
        }
    }

    /** Queues the copy of the statistics: the step is whole. */
    void end(Arena.Tensor stats) {
        copy(stats, STATS, 0);
        event.record();
    }

    private void copy(Arena.Tensor tensor, int count, int at) {
        if ((at + count) * Float.BYTES > host.buffer().capacity()) {
            throw new WarpBertException("a head with more losses than its batch has tokens, sequences and labels: " + (at + count - STATS));
        }
        tensor.downloadAsync(count, host, at * Float.BYTES);
    }

    /** Waits until the step is done, and sums the losses of each term over its micro-batches. */
    void sums(double[] sums) {
        event.await();
        ByteBuffer values = host.buffer();
        Arrays.fill(sums, 0);
        int at = STATS;
        for (int i = 0; i < terms; i++) {
            double sum = 0;
            for (int end = at + counts[i]; at < end; at++) {
                sum += values.getFloat(at * Float.BYTES);
            }
            sums[i % sums.length] += sum;
        }
    }

    /** The gradient's l2 norm before clipping, NaN where it was not finite; of a step that {@link #sums} waited for. */
    double gradNorm() {
        return host.buffer().getFloat(2 * Float.BYTES) == 1 ? host.buffer().getFloat(0) : Double.NaN;
    }

    @Override
    public void close() {
        host.close();
        event.close();
    }
}
