package org.warpbert.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.warpbert.WarpBertException;

class PackedBatchTest {
    private final PackedBatch batch = PackedBatch.of(List.of(
            new Encoded(new int[] {101, 7, 102}, new byte[] {0, 0, 0}, false),
            new Encoded(new int[] {101, 9, 102, 7, 102}, new byte[] {0, 0, 0, 1, 1}, false),
            new Encoded(new int[] {101, 102}, new byte[2], true)), new int[] {1, 0, 2});

    private static long bytesOfArrays(PackedBatch batch) {
        return Arrays.stream(PackedBatch.class.getRecordComponents()).filter(part -> part.getType() == int[].class).mapToLong(part -> {
            try {
                return 4L * ((int[]) part.getAccessor().invoke(batch)).length;
            } catch (ReflectiveOperationException e) {
                throw new AssertionError(e);
            }
        }).sum();
    }

    @Test
    void packsEndToEnd() {
        assertArrayEquals(new int[] {101, 7, 102, 101, 9, 102, 7, 102, 101, 102}, batch.tokens());
        assertArrayEquals(new int[] {0, 1, 2, 0, 1, 2, 3, 4, 0, 1}, batch.positions());
        assertArrayEquals(new int[] {0, 0, 0, 0, 0, 0, 1, 1, 0, 0}, batch.segments());
        assertArrayEquals(new int[] {0, 3, 8, 10}, batch.cuSeqlens());
        assertArrayEquals(new int[] {1, 0, 2}, batch.labels());
        assertArrayEquals(IntStream.range(0, 10).toArray(), batch.dropoutRows());
        assertArrayEquals(new int[] {1, 6, 4, 0, 3, 8, 2, 5, 7, 9}, batch.wordOrder());
        assertArrayEquals(new int[] {0, 3, 8, 1, 4, 9, 2, 5, 6, 7}, batch.positionOrder());
        assertEquals(5, batch.maxSeqlen());
        assertEquals(10, batch.totalTokens());
        assertEquals(3, batch.sequences());
        assertEquals(192, batch.paddedTokens(64));
        assertEquals(bytesOfArrays(batch), PackedBatch.bytes(Capacity.of(batch)));
    }

    @Test
    void microBatchesKeepTheRowsOfTheWhole() {
        PackedBatch tail = batch.slice(1, 3);
        assertArrayEquals(new int[] {101, 9, 102, 7, 102, 101, 102}, tail.tokens());
        assertArrayEquals(new int[] {0, 5, 7}, tail.cuSeqlens());
        assertArrayEquals(new int[] {0, 2}, tail.labels());
        assertArrayEquals(new int[] {3, 4, 5, 6, 7, 8, 9}, tail.dropoutRows());
        assertArrayEquals(new int[] {3, 1, 0, 5, 2, 4, 6}, tail.wordOrder());
        assertArrayEquals(new int[] {8, 9}, tail.select(1).dropoutRows());
        assertArrayEquals(new int[] {8, 9, 0, 1, 2}, batch.select(2, 0).dropoutRows());
        assertEquals(3, batch.select(2, 0).maxSeqlen());
    }

    /** Candidates stay with their question, tokens with their labels, and every example with its own. */
    @Test
    void examplesOfSeveralSequencesAndLabelledTokens() {
        Encoded one = new Encoded(new int[] {101, 7, 102}, new byte[3], false);
        Encoded two = new Encoded(new int[] {101, 102}, new byte[2], false);
        int no = PackedBatch.IGNORE;
        PackedBatch whole = PackedBatch.of(List.of(
                new Instance(List.of(one, two), new int[] {1, 0}, new int[][] {{no, 5, no}, {no, 6}}),
                new Instance(List.of(two), new int[] {2, 3}, null),
                new Instance(List.of(two, one, one), new int[] {4, 5}, new int[][] {{0, no}, {no, no, no}, {no, no, 9}})));
        assertArrayEquals(new int[] {0, 2, 3, 6}, whole.cuExamples());
        assertArrayEquals(new int[] {0, 3, 5, 7, 9, 12, 15}, whole.cuSeqlens());
        assertArrayEquals(new int[] {1, 0, 2, 3, 4, 5}, whole.labels());
        assertArrayEquals(new int[] {1, 4, 7, 14}, whole.labelledRows());
        assertArrayEquals(new int[] {5, 6, 0, 9}, whole.tokenLabels());
        assertEquals(new Capacity(15, 6, 3, 6, 4), Capacity.of(whole));
        assertEquals(bytesOfArrays(whole), PackedBatch.bytes(Capacity.of(whole)));
        PackedBatch part = whole.select(2, 0);
        assertArrayEquals(new int[] {0, 3, 5}, part.cuExamples());
        assertArrayEquals(new int[] {0, 2, 5, 8, 11, 13}, part.cuSeqlens());
        assertArrayEquals(new int[] {4, 5, 1, 0}, part.labels());
        assertArrayEquals(new int[] {0, 7, 9, 12}, part.labelledRows());
        assertArrayEquals(new int[] {0, 9, 5, 6}, part.tokenLabels());
        assertArrayEquals(new int[] {3, 4, 5, 0, 1}, part.dropoutSequences());
        assertArrayEquals(new int[] {0, 1}, part.select(1).dropoutSequences());
        String message = assertThrows(WarpBertException.class, () -> PackedBatch.of(List.of(Instance.of(one, 1), Instance.of(two, 1, 2)))).getMessage();
        assertEquals("Example 1 of a batch has 2 labels, example 0 has 1.", message);
    }

    /** Left padding, holes, and rows of any pattern keep each token's padded position. */
    @Test
    void fromPaddedKeepsPositions() {
        PackedBatch packed = PackedBatch.fromPadded(
                new int[][] {{101, 5, 102, 0}, {0, 101, 6, 102}, {101, 8, 9, 102}},
                new int[][] {{1, 1, 1, 0}, {0, 1, 1, 1}, {1, 0, 1, 1}},
                new int[][] {{0, 0, 0, 0}, {0, 0, 1, 1}, {0, 1, 1, 1}});
        assertArrayEquals(new int[] {101, 5, 102, 101, 6, 102, 101, 9, 102}, packed.tokens());
        assertArrayEquals(new int[] {0, 1, 2, 1, 2, 3, 0, 2, 3}, packed.positions());
        assertArrayEquals(new int[] {0, 0, 0, 0, 1, 1, 0, 1, 1}, packed.segments());
        assertArrayEquals(new int[] {0, 3, 6, 9}, packed.cuSeqlens());
        assertArrayEquals(new int[] {-100, -100, -100}, packed.labels());
        assertEquals(PackedBatch.IGNORE, packed.labels()[0]);
    }

    @Test
    void badInputIsNamed() {
        int[][] ids = {{1, 2}, {3, 4}};
        assertMessage("row 1 keeps no token", () -> PackedBatch.fromPadded(ids, new int[][] {{1, 1}, {0, 0}}, null));
        assertMessage("row 0 holds 2", () -> PackedBatch.fromPadded(ids, new int[][] {{2, 1}, {1, 1}}, null));
        assertMessage("attention mask has 1 rows", () -> PackedBatch.fromPadded(ids, new int[][] {{1, 1}}, null));
        assertMessage("Row 1 of the segments",
                () -> PackedBatch.fromPadded(ids, new int[][] {{1, 1}, {1, 1}}, new int[][] {{0, 0}, {0}}));
        assertMessage("2 sequences was given 3 labels", () -> PackedBatch.fromPadded(ids,
                new int[][] {{1, 1}, {1, 0}}, null, new int[] {1, 2, 3}));
        assertMessage("at least one sequence", () -> PackedBatch.of(List.of(), null));
        assertMessage("negative", () -> PackedBatch.fromPadded(new int[][] {{-1}}, new int[][] {{1}}, null));
    }

    @Test
    void orderIsStableAtFullSize() {
        Random random = new Random(3);
        int[] keys = random.ints(32_768, 0, 500).toArray();
        int[] expected = IntStream.range(0, keys.length).boxed().sorted(Comparator.comparingInt(i -> keys[i]))
                .mapToInt(i -> i).toArray(); // List.sort is stable by contract
        assertArrayEquals(expected, BatchBuilder.stableOrder(keys));
    }

    @Test
    void epochOrderIsAPermutationFixedBySeedAndEpoch() {
        assertArrayEquals(new int[] {0, 1, 2, 3}, BatchOrder.order(4, 42, 0, false));
        int[] order = BatchOrder.order(1000, 42, 0, true);
        assertArrayEquals(order, BatchOrder.order(1000, 42, 0, true));
        assertArrayEquals(IntStream.range(0, 1000).toArray(), Arrays.stream(order).sorted().toArray());
        assertTrue(agreement(order, BatchOrder.order(1000, 42, 1, true)) < 10);
        assertTrue(agreement(order, BatchOrder.order(1000, 43, 0, true)) < 10);
        // written down so that no Java release changes the order of a run to be resumed
        assertArrayEquals(new int[] {1, 7, 2, 5, 6, 4, 0, 9, 8, 3}, BatchOrder.order(10, 42, 0, true));
    }

    /** All 24 orders of 4 rows come up about equally often. */
    @Test
    void everyOrderIsAboutEquallyLikely() {
        int[] counts = new int[4 * 4 * 4 * 4];
        for (int seed = 0; seed < 24_000; seed++) {
            int[] o = BatchOrder.order(4, seed, seed % 5, true);
            counts[((o[0] * 4 + o[1]) * 4 + o[2]) * 4 + o[3]]++;
        }
        int[] seen = Arrays.stream(counts).filter(count -> count > 0).toArray();
        assertEquals(24, seen.length);
        double chiSquare = Arrays.stream(seen).mapToDouble(count -> (count - 1000.0) * (count - 1000.0) / 1000).sum();
        assertTrue(chiSquare < 49.7, "chi-square " + chiSquare + " over 23 degrees of freedom (p = 0.001)");
    }

    @Test
    void splitSetsRowsAside() {
        BatchOrder.Split split = BatchOrder.split(1000, 0.1, 42);
        assertEquals(100, split.dev().length);
        int[] all = IntStream.concat(Arrays.stream(split.train()), Arrays.stream(split.dev())).sorted().toArray();
        assertArrayEquals(IntStream.range(0, 1000).toArray(), all);
        assertArrayEquals(Arrays.stream(split.dev()).sorted().toArray(), split.dev());
        assertArrayEquals(split.dev(), BatchOrder.split(1000, 0.1, 42).dev());
        assertEquals(1, BatchOrder.split(2, 0.01, 0).dev().length);
        assertEquals(1, BatchOrder.split(2, 0.99, 0).train().length);
        for (double fraction : new double[] {0, 1, -1, Double.NaN}) {
            assertMessage("between 0 and 1", () -> BatchOrder.split(10, fraction, 0));
        }
        assertMessage("1 rows", () -> BatchOrder.split(1, 0.5, 0));
    }

    private static int agreement(int[] a, int[] b) {
        return (int) IntStream.range(0, a.length).filter(i -> a[i] == b[i]).count();
    }

    private static void assertMessage(String expected, org.junit.jupiter.api.function.Executable call) {
        String message = assertThrows(WarpBertException.class, call).getMessage();
        assertTrue(message.contains(expected), message);
    }
}
