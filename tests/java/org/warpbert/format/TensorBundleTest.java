package org.warpbert.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.warpbert.format.SafetensorsTest.floats;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.WarpBertException;

class TensorBundleTest {
    @TempDir
    Path folder;
    private Path prefix;
    private Path index;
    private Path shard;

    /** Twelve variables, so five blocks, whose names share prefixes; over two shards. */
    @BeforeEach
    void write() {
        TreeMap<String, CheckpointWriter.Tensor> tensors = new TreeMap<>();
        for (int i = 0; i < 10; i++) tensors.put("bert/encoder/layer_" + i + "/output/dense/bias", CheckpointWriter.floats(new long[] {1, 2}, i, -i));
        tensors.put("global_step", new CheckpointWriter.Tensor(9, new long[] {}, new byte[8])); // int64
        tensors.put("half", new CheckpointWriter.Tensor(19, new long[] {1}, new byte[] {0x00, 0x3e})); // 1.5
        prefix = folder.resolve("model.ckpt");
        index = folder.resolve("model.ckpt.index");
        shard = folder.resolve("model.ckpt.data-00001-of-00002");
        CheckpointWriter.write(prefix, tensors, 2);
    }

    private String error() {
        return assertThrows(WarpBertException.class, () -> TensorBundle.open(prefix).close()).getMessage();
    }

    @Test
    void readsEveryVariableOfEveryBlockAndShard() {
        try (TensorBundle bundle = TensorBundle.open(prefix)) {
            List<String> names = new ArrayList<>();
            for (int i = 0; i < 10; i++) {
                String name = "bert/encoder/layer_" + i + "/output/dense/bias";
                names.add(name);
                assertArrayEquals(new long[] {1, 2}, bundle.shape(name));
                assertArrayEquals(new float[] {i, -i}, floats(bundle, name));
            }
            names.add("half");
            assertEquals(names, List.copyOf(bundle.shapes().keySet()));
            assertArrayEquals(new float[] {1.5f}, floats(bundle, "half"));
        }
    }

    @Test
    void damageIsNamed() throws IOException {
        byte[] data = Files.readAllBytes(shard);
        data[5] ^= 1;
        Files.write(shard, data);
        try (TensorBundle bundle = TensorBundle.open(prefix)) {
            String text = assertThrows(WarpBertException.class, () -> floats(bundle, "bert/encoder/layer_1/output/dense/bias")).getMessage();
            assertTrue(text.contains("layer_1") && text.contains("checksum") && text.contains("data-00001"), text);
        }
        Files.write(shard, Arrays.copyOf(data, data.length - 1));
        assertTrue(error().contains("data-00001-of-00002 is truncated"), error());
        Files.delete(shard);
        assertTrue(error().contains("data-00001-of-00002: there is no such file"), error());
        byte[] table = Files.readAllBytes(index);
        Files.write(index, Arrays.copyOf(table, table.length - 1));
        assertTrue(error().contains("cut off"), error());
        Files.delete(index);
        assertTrue(error().contains("model.ckpt.index: there is no such file"), error());
    }

    @Test
    void anyFlippedByteOfTheIndexIsRefusedOrHarmless() throws IOException {
        byte[] good = Files.readAllBytes(index);
        Random random = new Random(7);
        int refused = 0;
        for (int round = 0; round < 1500; round++) {
            byte[] bad = good.clone();
            bad[random.nextInt(bad.length)] = (byte) random.nextInt(256);
            Files.delete(index); // ext4 syncs a file that is truncated and rewritten
            Files.write(index, bad);
            try (TensorBundle bundle = TensorBundle.open(prefix)) {
                assertEquals(11, bundle.shapes().size()); // only the footer's padding and the empty metaindex may change
            } catch (WarpBertException e) {
                refused++;
            }
        }
        assertTrue(refused > 1200, "only " + refused + " of 1500 damaged indexes were refused");
    }

    /** The reader behind the checksums is as careful: damage that comes with a matching checksum. */
    @Test
    void blocksWithValidChecksumsButWildContentsOnlyGiveOurException() throws IOException {
        byte[] good = Files.readAllBytes(index);
        Random random = new Random(8);
        for (int round = 0; round < 3000; round++) {
            byte[] bad = good.clone();
            for (int n = 1 + random.nextInt(3); n > 0; n--) bad[random.nextInt(bad.length - 48)] = (byte) random.nextInt(256);
            resign(good, bad);
            Files.delete(index); // ext4 syncs a file that is truncated and rewritten
            Files.write(index, bad);
            try (TensorBundle bundle = TensorBundle.open(prefix)) {
                for (String name : bundle.shapes().keySet()) if (TensorSource.elements(bundle.shape(name)) < 1000) floats(bundle, name);
            } catch (WarpBertException e) {
                assertTrue(e.getMessage().contains("model.ckpt"), e.getMessage());
            }
        }
    }

    /** Puts the right checksum behind every block of the good index, wherever the damage is. */
    private static void resign(byte[] good, byte[] bad) {
        int start = 0;
        for (int end = 1; end + 4 <= good.length - 48; end++) {
            int mask = SortedTable.mask(SortedTable.crc(ByteBuffer.wrap(good, start, end - start)));
            if (ByteBuffer.wrap(good, end, 4).order(ByteOrder.LITTLE_ENDIAN).getInt() != mask) continue;
            int repaired = SortedTable.mask(SortedTable.crc(ByteBuffer.wrap(bad, start, end - start)));
            ByteBuffer.wrap(bad, end, 4).order(ByteOrder.LITTLE_ENDIAN).putInt(repaired);
            start = end + 4;
            end = start;
        }
        assertEquals(good.length - 48, start, "every block was found");
    }
}
