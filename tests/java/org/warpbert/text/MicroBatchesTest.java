package org.warpbert.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class MicroBatchesTest {
    private static Capacity[] examples(int... lengths) {
        return Arrays.stream(lengths).mapToObj(length -> Capacity.of(length, 1)).toArray(Capacity[]::new);
    }

    private static Capacity most(int tokens) {
        return new Capacity(tokens, 1000, 1000, 1000, 1000);
    }

    private static Encoded sequence(int length) {
        return new Encoded(new int[length], new byte[length], false);
    }

    @Test
    void everyExampleIsInOnePartThatFits() {
        SplittableRandom random = new SplittableRandom(1);
        for (int round = 0; round < 300; round++) {
            int[] lengths = random.ints(1 + random.nextInt(40), 1, 513).toArray();
            int tokens = 512 + random.nextInt(2000);
            List<int[]> cut = MicroBatches.cut(examples(lengths), most(tokens));
            assertArrayEquals(IntStream.range(0, lengths.length).toArray(), cut.stream().flatMapToInt(Arrays::stream).sorted().toArray());
            int sum = Arrays.stream(lengths).sum();
            int least = (sum + tokens - 1) / tokens;
            assertTrue(cut.size() <= least + 1 + least / 3, cut.size() + " parts of " + tokens + " for " + sum + " tokens"); // LPT's bound
            int shortest = Integer.MAX_VALUE;
            int longest = 0;
            for (int[] part : cut) {
                int size = Arrays.stream(part).map(e -> lengths[e]).sum();
                assertTrue(part.length > 0 && size <= tokens);
                shortest = Math.min(shortest, size);
                longest = Math.max(longest, size);
            }
            assertTrue(longest - shortest <= 512, "even to an example: " + shortest + " to " + longest);
        }
    }

    @Test
    void labelledTokensAreHeeded() {
        Capacity[] examples = {new Capacity(10, 1, 1, 0, 8), new Capacity(10, 1, 1, 0, 8), new Capacity(10, 1, 1, 0, 1), new Capacity(10, 1, 1, 0, 1)};
        for (int[] part : MicroBatches.cut(examples, new Capacity(40, 9, 9, 9, 9))) {
            assertTrue(Arrays.stream(part).map(e -> examples[e].labelled()).sum() <= 9, Arrays.toString(part));
        }
    }

    @Test
    void aBatchThatFitsIsLeftAsItIs() {
        PackedBatch batch = PackedBatch.of(List.of(sequence(5), sequence(7)), null);
        assertSame(batch, MicroBatches.of(batch, Capacity.of(batch)).get(0));
        assertSame(batch, MicroBatches.from(batch, 0, Capacity.of(batch)));
        assertEquals(2, MicroBatches.of(batch, most(11)).size());
    }

    @Test
    void examplesOfSeveralSequencesStayWhole() {
        List<Instance> instances = new ArrayList<>();
        for (int e = 0; e < 5; e++) {
            instances.add(new Instance(List.of(sequence(3 + e), sequence(4)), new int[] {e}, null));
        }
        PackedBatch batch = PackedBatch.of(instances);
        List<PackedBatch> parts = MicroBatches.of(batch, most(20));
        assertEquals(5, parts.stream().mapToInt(PackedBatch::examples).sum());
        assertArrayEquals(new int[] {0, 1, 2, 3, 4}, parts.stream().flatMapToInt(part -> Arrays.stream(part.labels())).sorted().toArray());
        for (PackedBatch part : parts) {
            assertEquals(2 * part.examples(), part.sequences());
            assertTrue(part.totalTokens() <= 20);
        }
    }

    @Test
    void partsInOrderTakeAsManyAsFit() {
        PackedBatch batch = PackedBatch.of(List.of(sequence(5), sequence(5), sequence(8), sequence(30), sequence(2)), new int[] {0, 1, 2, 3, 4});
        List<int[]> labels = new ArrayList<>();
        for (int from = 0; from < batch.examples(); from += labels.get(labels.size() - 1).length) {
            labels.add(MicroBatches.from(batch, from, most(12)).labels());
        }
        assertEquals(List.of("[0, 1]", "[2]", "[3]", "[4]"), labels.stream().map(Arrays::toString).toList());
    }

    @Test
    void sizesOfBatchesAreWhatTheyHold() {
        PackedBatch batch = PackedBatch.of(List.of(Instance.ofTokens(sequence(3), new int[] {1, PackedBatch.IGNORE, 2}),
                Instance.ofTokens(sequence(4), new int[] {PackedBatch.IGNORE, 1, PackedBatch.IGNORE, PackedBatch.IGNORE})));
        BatchSizes sizes = BatchSizes.of(batch);
        assertEquals(new Capacity(7, 2, 2, 0, 3), sizes.largest());
        assertEquals(new Capacity(4, 1, 1, 0, 2), sizes.largestExample());
        assertEquals(7, sizes.meanTokens());
        BatchSizes worst = BatchSizes.worst(Capacity.of(512, 1), 10);
        assertEquals(Capacity.of(5120, 10), worst.largest());
        assertEquals(new BatchSizes.Parts(5, 5), worst.parts(worst.microBatch(1535)));
        assertEquals(worst.largest(), worst.microBatch(6000));
    }

    /** What a plan lets a micro-batch hold is enough for each batch to be cut by tokens alone, near enough. */
    @Test
    void microBatchesHoldTheirShareOfLabels() {
        SplittableRandom random = new SplittableRandom(4);
        List<Capacity[]> batches = new ArrayList<>();
        for (int b = 0; b < 50; b++) {
            batches.add(random.ints(16, 3, 129).mapToObj(n -> new Capacity(n, 1, 1, 0, Math.max(1, n * 15 / 100))).toArray(Capacity[]::new));
        }
        BatchSizes sizes = new BatchSizes(batches);
        Capacity micro = sizes.microBatch(400);
        assertTrue(micro.labelled() < 400 / 4, "a share of the labels: " + micro);
        Capacity byTokens = new Capacity(400, micro.sequences(), micro.examples(), micro.labels(), 400);
        assertEquals(sizes.parts(byTokens), sizes.parts(micro));
    }
}
