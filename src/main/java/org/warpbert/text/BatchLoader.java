package org.warpbert.text;

import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.warpbert.WarpBertException;

/**
 * Tokenises and packs batches ahead of their use, on a background thread where there is more than one. Examples are tokenised once, the first time an
 * epoch comes to them, and kept as arrays. The last batch of an epoch holds what is left.
 *
 * <p>One thread uses a loader at a time. Close it to stop its thread; the source remains the caller's.
 */
public final class BatchLoader implements AutoCloseable {
    private static final int BATCHES_AHEAD = 4;
    /** Besides those: one that waits for room in the queue, one in use, and that one cut into micro-batches. */
    private static final int BATCHES_IN_HAND = 3;
    /** Texts handed to the tokenizer at once when all are wanted: enough to use every core. */
    private static final int CHUNK = 1024;

    private final InstanceSource source;
    private final int batchSize;
    private final long seed;
    private final boolean shuffle;
    private final Instance[] encoded;
    private Producer producer;

    /**
     * @param batchSize examples in a batch
     * @param shuffle   false: every epoch in the order of the examples
     */
    public BatchLoader(InstanceSource source, int batchSize, long seed, boolean shuffle) {
        if (batchSize < 1) {
            throw new WarpBertException("The batch size must be at least 1, not " + batchSize + ".");
        }
        if (source.size() == 0) {
            throw new WarpBertException("There are no examples to make batches of.");
        }
        this.source = source;
        this.batchSize = Math.min(batchSize, source.size()); // larger numbers would overflow
        this.seed = seed;
        this.shuffle = shuffle;
        this.encoded = new Instance[source.size()];
    }

    /** Batches in an epoch, the last and smaller one included. */
    public int batchesPerEpoch() {
        return (encoded.length + batchSize - 1) / batchSize;
    }

    /**
     * The batches of an epoch, packed ahead. Asking for an epoch ends the one before it.
     *
     * @param epoch      0 for the first; with the seed it fixes the order
     * @param firstBatch 0, or where a resumed run goes on
     */
    public Iterator<PackedBatch> epoch(int epoch, int firstBatch) {
        stop();
        if (firstBatch + 1 == batchesPerEpoch()) { // nothing to be ahead of, and a thread takes longer to start than a short text to compute
            return Stream.of(rows(order(epoch), firstBatch)).map(rows -> pack(rows, epoch)).iterator();
        }
        producer = new Producer(epoch, firstBatch);
        producer.start();
        return producer;
    }

    /** All examples, in order; tokenises what has not been yet: what a memory plan needs before the first step. */
    private Instance[] all() {
        stop();
        for (int from = 0; from < encoded.length; from += CHUNK) {
            encode(IntStream.range(from, Math.min(from + CHUNK, encoded.length)).toArray());
        }
        return encoded;
    }

    /** What the batches of these epochs hold; tokenises what has not been yet. */
    public BatchSizes sizes(int firstEpoch, int epochs) {
        Capacity[] examples = Arrays.stream(all()).map(Capacity::of).toArray(Capacity[]::new);
        int last = firstEpoch + (shuffle ? epochs : 1);
        return new BatchSizes(() -> IntStream.range(firstEpoch, last).boxed().flatMap(epoch -> {
            int[] order = order(epoch);
            return IntStream.range(0, batchesPerEpoch()).mapToObj(
                    batch -> Arrays.stream(rows(order, batch)).mapToObj(row -> examples[row]).toArray(Capacity[]::new));
        }).iterator());
    }

    /** What the batches of these epochs hold at most; tokenises what has not been yet. */
    public Capacity capacity(int firstEpoch, int epochs) {
        return sizes(firstEpoch, epochs).largest();
    }

    /** What batches that are ready or in use take of Java's heap, at most, where none holds more than {@code largest}. */
    public static long readyBytes(Capacity largest) {
        return (BATCHES_AHEAD + BATCHES_IN_HAND) * PackedBatch.bytes(largest);
    }

    /** How many of the examples were cut to the maximum length; tokenises what has not been yet. */
    public int truncated() {
        return (int) Arrays.stream(all()).filter(Instance::truncated).count();
    }

    /** Stops the background thread. */
    @Override
    public void close() {
        stop();
    }

    private int[] order(int epoch) {
        return BatchOrder.order(encoded.length, seed, epoch, shuffle);
    }

    /** The examples of a batch. */
    private int[] rows(int[] order, int batch) {
        return Arrays.copyOfRange(order, batch * batchSize, Math.min((batch + 1) * batchSize, order.length));
    }

    private void stop() {
        if (producer != null) {
            producer.stop();
            producer = null;
        }
    }

    /** Tokenises those of the rows that are not yet, all at once. Only one thread does so at a time: see stop(). */
    private void encode(int[] rows) {
        int[] missing = Arrays.stream(rows).filter(row -> encoded[row] == null).toArray();
        if (missing.length == 0) {
            return;
        }
        List<Instance> fresh = source.encode(missing);
        for (int i = 0; i < missing.length; i++) {
            encoded[missing[i]] = fresh.get(i);
        }
    }

    private PackedBatch pack(int[] rows, int epoch) {
        encode(rows);
        return PackedBatch.of(Arrays.stream(rows).mapToObj(row -> source.draw(encoded[row], row, epoch)).toList());
    }

    /** One epoch: a thread that fills a bounded queue, and the iterator that empties it. */
    private final class Producer implements Iterator<PackedBatch>, Runnable {
        private final int epoch;
        private final int[] order;
        private final int firstBatch;
        private final BlockingQueue<Object> queue = new ArrayBlockingQueue<>(BATCHES_AHEAD); // batches or a Throwable
        private final Thread thread = new Thread(this, "warpbert-loader");
        private int nextBatch;
        private volatile boolean stopped;

        Producer(int epoch, int firstBatch) {
            this.epoch = epoch;
            this.order = order(epoch);
            this.firstBatch = firstBatch;
            this.nextBatch = firstBatch;
            thread.setDaemon(true);
        }

        void start() {
            thread.start();
        }

        void stop() {
            stopped = true;
            thread.interrupt();
            boolean interrupted = false;
            while (thread.isAlive()) {
                try {
                    thread.join(); // the next user of encoded[] must see this one gone
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
            queue.offer(ended()); // wakes a consumer that another thread (Ctrl-C) took the loader from
        }

        private WarpBertException ended() {
            return new WarpBertException("This epoch was ended by another one or by closing the loader.");
        }

        @Override
        public void run() {
            try {
                for (int batch = firstBatch; batch < batchesPerEpoch() && !stopped; batch++) {
                    queue.put(pack(rows(order, batch), epoch));
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt(); // stop() asked for it
            } catch (Throwable e) { // whatever it is, the consumer must hear of it rather than wait for ever
                try {
                    queue.put(e);
                } catch (InterruptedException again) {
                    Thread.currentThread().interrupt();
                }
            }
        }

        @Override
        public boolean hasNext() {
            return nextBatch < batchesPerEpoch();
        }

        @Override
        public PackedBatch next() {
            if (!hasNext()) {
                throw new NoSuchElementException("The epoch is over.");
            }
            if (stopped) {
                throw ended();
            }
            Object item;
            try {
                item = queue.take();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new WarpBertException("Interrupted while waiting for a batch.", e);
            }
            if (item instanceof PackedBatch batch) {
                nextBatch++;
                return batch;
            }
            Throwable failure = (Throwable) item;
            nextBatch = batchesPerEpoch();
            throw new WarpBertException(failure instanceof WarpBertException ? failure.getMessage()
                    : "A batch could not be made: " + failure, failure);
        }
    }
}
