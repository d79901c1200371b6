package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;

/** A batch's upload may be under way while the next is written: it must keep its host memory until the one after that. */
class DeviceBatchTest {
    private static PackedBatch batch(int length) {
        return PackedBatch.of(List.of(new Encoded(IntStream.range(length, 2 * length).toArray(), new byte[length], false)), new int[] {length});
    }

    private static ByteBuffer copy(ByteBuffer host) {
        return ByteBuffer.allocate(host.capacity()).order(ByteOrder.nativeOrder()).put(host.duplicate().clear()).flip();
    }

    @Test
    void aBatchStaysWholeOnTheHostWhileTheNextIsWritten() {
        try (Backend backend = Backends.open("cpu", 1); DeviceBatch device = new DeviceBatch(backend, Capacity.of(batch(9)), false, OutputRows.ALL)) {
            ByteBuffer host = null;
            ByteBuffer before = null;
            for (int length = 3; length <= 9; length++) {
                device.upload(batch(length), 5, length);
                if (before != null) {
                    assertEquals(before, copy(host), "the batch of " + (length - 1) + " tokens");
                }
                assertNotEquals(before, copy(device.host()));
                host = device.host();
                before = copy(host);
                assertEquals(length, before.getLong(8), "the step");
                assertEquals(length, before.getInt(16), "the first token");
            }
        }
    }

    /** Also of batches that filler repeats more than once. */
    @ParameterizedTest
    @ValueSource(ints = {2, 20, 21, 63, 64, 65, 100})
    void fillerRepeatsTheBatchInOneMoreSequence(int tokens) {
        PackedBatch batch = PackedBatch.of(TinyBert.sequences(tokens, tokens / 2, tokens - tokens / 2), null);
        int rows = (tokens + 63) / 64 * 64;
        try (Backend backend = Backends.open("cpu", 1); DeviceBatch device = new DeviceBatch(backend, Capacity.of(batch), true, OutputRows.ALL)) {
            device.upload(batch, 5, 6);
            IntBuffer ints = device.host().duplicate().order(ByteOrder.nativeOrder()).position(16).asIntBuffer();
            int[][] arrays = new int[6][rows];
            for (int[] array : arrays) {
                ints.get(array);
            }
            int[][] real = {batch.tokens(), batch.positions(), batch.segments(), batch.dropoutRows()};
            for (int k = 0; k < real.length; k++) {
                int[] of = real[k];
                assertArrayEquals(IntStream.range(0, rows).map(t -> of[t % tokens]).toArray(), arrays[k], "array " + k);
            }
            for (int k = 0; k < 2; k++) {
                int[] values = arrays[k];
                int[] sorted = IntStream.range(0, rows).boxed().sorted(Comparator.comparingInt(t -> values[t])).mapToInt(t -> t).toArray();
                assertArrayEquals(sorted, arrays[4 + k], "order " + k);
            }
            int[] starts = new int[9];
            ints.get(starts);
            assertArrayEquals(new int[] {0, tokens / 2, tokens, rows, rows, rows, rows, rows, rows}, starts);
            int[] heads = new int[3];
            ints.get(heads);
            assertArrayEquals(batch.cuSeqlens(), heads, "heads see the real sequences");
        }
    }

    @Test
    void whatDoesNotFitIsRefused() {
        try (Backend backend = Backends.open("cpu", 1); DeviceBatch device = new DeviceBatch(backend, Capacity.of(batch(3)), false, OutputRows.ALL)) {
            assertThrows(WarpBertException.class, () -> device.upload(batch(4), 0, 0));
        }
    }
}
