package org.warpbert.model;

import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.Dropout;
import org.warpbert.backend.HostMemory;
import org.warpbert.text.PackedBatch;

/**
 * A packed batch's integers on the device, in one block that is uploaded at once and reused from step to step. Sized
 * for at most {@code maxTokens} tokens in {@code maxSequences} sequences. On the host two blocks take turns, so that a
 * batch is written while the copy of the one before may be under way.
 */
public final class DeviceBatch implements AutoCloseable {
    private static final int PER_TOKEN = 6;    // tokens, positions, segments, dropout rows, word order, position order
    private static final int PER_SEQUENCE = 3; // cu_seqlens, labels, dropout sequences
    private static final int HEAD = 8;         // rng (2 longs), cu_seqlens' last; a multiple of 8 keeps longs aligned

    private final int maxTokens;
    private final int maxSequences;
    private final DeviceMemory memory;
    private final HostMemory[] staging = new HostMemory[2];
    private int turn;
    private PackedBatch batch;
    private Dropout dropout;
    private Dropout sequenceDropout;

    public DeviceBatch(Backend backend, int maxTokens, int maxSequences) {
        this.maxTokens = maxTokens;
        this.maxSequences = maxSequences;
        long bytes = bytes(maxTokens, maxSequences);
        this.memory = backend.allocate("the batch", bytes);
        try {
            for (int i = 0; i < staging.length; i++) {
                staging[i] = backend.allocateHost("the batch", Math.toIntExact(bytes));
            }
        } catch (RuntimeException e) {
            close();
            throw e;
        }
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
        turn = (turn + 1) % staging.length;
        ByteBuffer host = staging[turn].buffer().clear();
        host.putLong(seed).putLong(step);
        IntBuffer ints = host.asIntBuffer();
        ints.put(batch.tokens()).put(batch.positions()).put(batch.segments()).put(batch.dropoutRows())
                .put(batch.wordOrder()).put(batch.positionOrder()).put(batch.cuSeqlens()).put(batch.labels())
                .put(batch.dropoutSequences());
        memory.upload(staging[turn], host.position() + ints.position() * Integer.BYTES);
        dropout = new Dropout(memory.address(), at(3));
        sequenceDropout = new Dropout(memory.address(), labels() + (long) sequenceCount() * Integer.BYTES);
    }

    /** The host's copy of the batch last uploaded, whole until the upload after the next. */
    ByteBuffer host() {
        return staging[turn].buffer();
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
        for (HostMemory block : staging) {
            if (block != null) {
                block.close();
            }
        }
        memory.close();
    }
}
