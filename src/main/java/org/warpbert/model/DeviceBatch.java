package org.warpbert.model;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.Dropout;
import org.warpbert.text.PackedBatch;

/**
 * A packed batch's integers on the device, in one block that is uploaded at once and reused from step to step. Sized
 * for at most {@code maxTokens} tokens in {@code maxSequences} sequences.
 */
public final class DeviceBatch implements AutoCloseable {
    private static final int PER_TOKEN = 6;    // tokens, positions, segments, dropout rows, word order, position order
    private static final int PER_SEQUENCE = 3; // cu_seqlens, labels, dropout sequences
    private static final int HEAD = 8;         // rng (2 longs), cu_seqlens' last; a multiple of 8 keeps longs aligned

    private final int maxTokens;
    private final int maxSequences;
    private final DeviceMemory memory;
    private final ByteBuffer staging;
    private PackedBatch batch;
    private Dropout dropout;
    private Dropout sequenceDropout;

    public DeviceBatch(Backend backend, int maxTokens, int maxSequences) {
        this.maxTokens = maxTokens;
        this.maxSequences = maxSequences;
        long bytes = bytes(maxTokens, maxSequences);
        this.memory = backend.allocate("the batch", bytes);
        this.staging = ByteBuffer.allocateDirect(Math.toIntExact(bytes)).order(ByteOrder.nativeOrder());
    }

    /** What a batch of these sizes takes on the device. */
    public static long bytes(int maxTokens, int maxSequences) {
        return ((long) PER_TOKEN * maxTokens + (long) PER_SEQUENCE * maxSequences + HEAD) * Integer.BYTES;
    }

    /**
     * Puts a batch on the device.
     *
     * @param seed what dropout masks are drawn from, together with {@code step}
     * @param step number of the optimizer step, the same for all micro-batches of it
     */
    public void upload(PackedBatch newBatch, long seed, long step) {
        if (newBatch.totalTokens() > maxTokens || newBatch.sequences() > maxSequences) {
            throw new WarpBertException("a batch of " + newBatch.totalTokens() + " tokens in " + newBatch.sequences()
                    + " sequences does not fit the plan of " + maxTokens + " tokens in " + maxSequences + " sequences");
        }
        batch = newBatch;
        staging.clear();
        staging.putLong(seed).putLong(step);
        IntBuffer ints = staging.asIntBuffer();
        ints.put(batch.tokens()).put(batch.positions()).put(batch.segments()).put(batch.dropoutRows())
                .put(batch.wordOrder()).put(batch.positionOrder()).put(batch.cuSeqlens()).put(batch.labels())
                .put(batch.dropoutSequences());
        staging.position(0).limit(2 * Long.BYTES + ints.position() * Integer.BYTES);
        memory.upload(0, staging);
        dropout = new Dropout(memory.address(), at(3));
        sequenceDropout = new Dropout(memory.address(), labels() + (long) sequenceCount() * Integer.BYTES);
    }

    /** T, tokens of the batch now held. */
    int tokenCount() {
        return batch.totalTokens();
    }

    /** B, its sequences. */
    int sequenceCount() {
        return batch.sequences();
    }

    int maxSeqlen() {
        return batch.maxSeqlen();
    }

    /** The dropout masks of this step. */
    Dropout dropout() {
        return dropout;
    }

    /** The same, for tensors of a row for each sequence. */
    Dropout sequenceDropout() {
        return sequenceDropout;
    }

    long tokens() {
        return at(0);
    }

    long positions() {
        return at(1);
    }

    long segments() {
        return at(2);
    }

    long wordOrder() {
        return at(4);
    }

    long positionOrder() {
        return at(5);
    }

    /** [B + 1]; its first B numbers are also the rows of the [CLS] tokens. */
    long cuSeqlens() {
        return at(PER_TOKEN);
    }

    /** [B]. */
    public long labels() {
        return cuSeqlens() + (sequenceCount() + 1L) * Integer.BYTES;
    }

    private long at(int array) {
        return memory.address() + 2 * Long.BYTES + (long) array * tokenCount() * Integer.BYTES;
    }

    @Override
    public void close() {
        memory.close();
    }
}
