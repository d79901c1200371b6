package org.warpbert.model;

import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.HostMemory;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/**
 * A packed batch's integers on the device, in one block that is uploaded at once and reused from step to step. On the
 * host two blocks take turns, so that a batch is written while the copy of the one before may be under way. What the encoder reads
 * comes first and stands where its {@link EncoderShape} alone says, filler included; what heads read follows, as long as the batch.
 */
public final class DeviceBatch implements AutoCloseable {
    private static final int PER_TOKEN = 6;    // tokens, positions, segments, dropout rows, word order, position order
    private static final int MASK = 1;         // at most: a padded batch's key mask, a byte for each token
    private static final int PER_SELECTED = 2; // output rows, their dropout rows
    private static final int PER_SEQUENCE = 2; // cu_seqlens, dropout sequences
    private static final int BLOCKS = 2;       // of the host: one is written while the other is copied
    private static final int RNG = 2 * Long.BYTES;
    private static final int NO_ROW = -1;      // is gathered as zeros
    private static final int HEAD = 8;         // rng (2 longs), the last of both cu_seqlens and of cu_examples

    private final Capacity capacity;
    private final boolean filled;
    private final OutputRows rows;
    private final DeviceMemory memory;
    private final HostMemory[] staging = new HostMemory[BLOCKS];
    private final IntBuffer[] staged = new IntBuffer[BLOCKS]; // the same behind rng
    private final EncoderShape shape = new EncoderShape();
    private int turn;
    private PackedBatch batch;

    /**
     * @param filled whether the encoder gets filler, see {@link EncoderShape}
     * @param rows   what the head reads
     */
    DeviceBatch(Backend backend, Capacity capacity, boolean filled, OutputRows rows) {
        this.capacity = capacity;
        this.filled = filled;
        this.rows = rows;
        long bytes = bytes(capacity, filled, rows);
        this.memory = backend.allocate("the batch", bytes);
        try {
            for (int i = 0; i < staging.length; i++) {
                staging[i] = backend.allocateHost("the batch", Math.toIntExact(bytes));
                staged[i] = staging[i].buffer().position(RNG).asIntBuffer();
            }
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /** What batches of these sizes take on the device. */
    static long bytes(Capacity most, boolean filled, OutputRows rows) {
        return ((long) (PER_TOKEN + MASK) * EncoderShape.tokens(most.tokens(), filled) + EncoderShape.sequences(most.sequences(), filled)
                + (long) PER_SELECTED * EncoderShape.selected(most.labelled(), most.sequences(), filled, rows)
                + (long) PER_SEQUENCE * most.sequences() + most.examples() + most.labels() + most.labelled() + HEAD) * Integer.BYTES;
    }

    /** What they take on the host. */
    static long hostBytes(Capacity most, boolean filled, OutputRows rows) {
        return BLOCKS * bytes(most, filled, rows);
    }

    /**
     * Puts a batch on the device.
     *
     * @param seed what dropout masks are drawn from, together with {@code step}
     * @param step number of the optimizer step, the same for all micro-batches of it
     */
    public void upload(PackedBatch newBatch, long seed, long step) {
        if (!capacity.holds(newBatch)) {
            throw new WarpBertException("a batch of " + Capacity.of(newBatch) + " does not fit the plan of " + capacity);
        }
        batch = newBatch;
        shape.set(batch, filled, rows);
        turn = (turn + 1) % BLOCKS;
        ByteBuffer host = staging[turn].buffer().clear();
        host.putLong(seed).putLong(step);
        IntBuffer ints = staged[turn].clear();
        putEncoders(host, ints);
        ints.put(batch.cuSeqlens()).put(batch.dropoutSequences()).put(batch.cuExamples()).put(batch.labels()).put(batch.tokenLabels());
        memory.upload(staging[turn], host.position() + ints.position() * Integer.BYTES);
    }

    /** What the encoder reads. */
    private void putEncoders(ByteBuffer host, IntBuffer ints) {
        shape.put(ints, batch.tokens());
        shape.put(ints, batch.positions());
        shape.put(ints, batch.segments());
        shape.put(ints, batch.dropoutRows());
        shape.putOrder(ints, batch.wordOrder(), batch.tokens());
        shape.putOrder(ints, batch.positionOrder(), batch.positions());
        ints.put(batch.cuSeqlens());
        for (int b = batch.sequences(); b < shape.sequences(); b++) {
            ints.put(shape.tokens());
        }
        if (batch.keyMask() != null) {
            int mask = host.position() + ints.position() * Integer.BYTES;
            host.put(mask, batch.keyMask());
            for (int t = tokenCount(); t < shape.tokens(); t++) {
                host.put(mask + t, (byte) 1);
            }
            ints.position(ints.position() + maskInts());
        }
        putSelected(ints, null, NO_ROW);
        putSelected(ints, batch.dropoutRows(), 0);
    }

    /** Of each row of the output that the head reads its number, or what {@code of} has at it, and {@code filler} behind them. */
    private void putSelected(IntBuffer ints, int[] of, int filler) {
        int end = ints.position() + shape.selected();
        if (rows.labelled()) {
            for (int row : batch.labelledRows()) {
                ints.put(of == null ? row : of[row]);
            }
        }
        if (rows.first()) {
            for (int b = 0; b < batch.sequences(); b++) {
                int row = batch.cuSeqlens()[b];
                ints.put(of == null ? row : of[row]);
            }
        }
        while (ints.position() < end) {
            ints.put(filler);
        }
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

    /** E, its examples. */
    int exampleCount() {
        return batch.examples();
    }

    /** M, its labelled tokens. */
    int labelledCount() {
        return batch.labelledRows().length;
    }

    /** The sizes at which the encoder computes it. */
    EncoderShape shape() {
        return shape;
    }

    /** int64[2]: what dropout masks are drawn from, seed and step. */
    long rng() {
        return memory.address();
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

    /** Row of each of the encoder's tokens inside the effective batch, by which its masks are drawn. */
    long dropoutRows() {
        return at(3);
    }

    long wordOrder() {
        return at(4);
    }

    long positionOrder() {
        return at(5);
    }

    /** [encoder's sequences + 1]. */
    long encoderCuSeqlens() {
        return at(PER_TOKEN);
    }

    /** uint8[encoder's tokens], or 0 where every key counts. */
    long keyMask() {
        return batch.keyMask() == null ? 0 : after(encoderCuSeqlens(), shape.sequences() + 1);
    }

    private int maskInts() {
        return batch.keyMask() == null ? 0 : (shape.tokens() + Integer.BYTES - 1) / Integer.BYTES;
    }

    /** Row of the encoder's tokens that each selected one is, [selected], -1 for filler. */
    long selectedRows() {
        return after(encoderCuSeqlens(), shape.sequences() + 1 + maskInts());
    }

    /** As {@link #dropoutRows}, for the selected rows. */
    long selectedDropoutRows() {
        return after(selectedRows(), shape.selected());
    }

    /** [B + 1]. */
    long cuSeqlens() {
        return after(selectedDropoutRows(), shape.selected());
    }

    /** [B], as {@link #dropoutRows} for rows of sequences. */
    long sequenceDropoutRows() {
        return after(cuSeqlens(), sequenceCount() + 1);
    }

    /** [E + 1]. */
    long cuExamples() {
        return after(sequenceDropoutRows(), sequenceCount());
    }

    /** [E, w]. */
    long labels() {
        return after(cuExamples(), exampleCount() + 1);
    }

    /** [M]. */
    long tokenLabels() {
        return after(labels(), batch.labels().length);
    }

    private static long after(long address, int ints) {
        return address + (long) ints * Integer.BYTES;
    }

    private long at(int array) {
        return memory.address() + RNG + (long) array * shape.tokens() * Integer.BYTES;
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
