package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
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
        try (Backend backend = Backends.open("cpu", 1); DeviceBatch device = new DeviceBatch(backend, Capacity.of(batch(9)))) {
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

    @Test
    void whatDoesNotFitIsRefused() {
        try (Backend backend = Backends.open("cpu", 1); DeviceBatch device = new DeviceBatch(backend, Capacity.of(batch(3)))) {
            assertThrows(WarpBertException.class, () -> device.upload(batch(4), 0, 0));
        }
    }
}
