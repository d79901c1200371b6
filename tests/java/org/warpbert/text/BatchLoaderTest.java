package org.warpbert.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.junit.jupiter.api.Timeout;
import org.warpbert.WarpBertException;
import org.warpbert.format.Vocabulary;

@Timeout(60)
class BatchLoaderTest {
    private static final List<String> VOCABULARY = new ArrayList<>(Vocabulary.SPECIALS);

    static {
        IntStream.range(0, 100).forEach(i -> VOCABULARY.add("w" + i));
    }

    private final WordPieceTokenizer tokenizer = new WordPieceTokenizer(VOCABULARY, true);
    /** Text i is the word i % 100 repeated 1 + i % 7 times, its label is i. */
    private final List<Example> examples = IntStream.range(0, 103)
            .mapToObj(i -> new Example(i + 1, ("w" + i % 100 + " ").repeat(1 + i % 7), null, null)).toList();
    private final int[] labels = IntStream.range(0, 103).toArray();

    @AfterEach
    void close() {
        tokenizer.close();
    }

    @Test
    void everyEpochHoldsEveryRowOnceInItsOrder() {
        try (BatchLoader loader = loader(examples, labels, 16, 10, 42, true)) {
            assertEquals(11, loader.batchesPerEpoch());
            for (int epoch = 0; epoch < 3; epoch++) {
                List<PackedBatch> batches = all(loader.epoch(epoch, 0));
                assertEquals(11, batches.size());
                assertEquals(3, batches.get(10).sequences());
                int[] seen = batches.stream().flatMapToInt(batch -> Arrays.stream(batch.labels())).toArray();
                assertArrayEquals(BatchOrder.order(103, 42, epoch, true), seen);
                for (PackedBatch batch : batches) {
                    for (int b = 0; b < batch.sequences(); b++) {
                        int row = batch.labels()[b];
                        assertEquals(3 + row % 7, batch.length(b));
                        assertEquals(5 + row % 100, batch.tokens()[batch.cuSeqlens()[b] + 1]);
                    }
                }
            }
        }
    }

    @Test
    void resumesInTheMiddleOfAnEpoch() {
        try (BatchLoader loader = loader(examples, labels, 16, 10, 7, true);
             BatchLoader resumed = loader(examples, labels, 16, 10, 7, true)) {
            List<PackedBatch> whole = all(loader.epoch(2, 0));
            List<PackedBatch> rest = all(resumed.epoch(2, 4));
            assertEquals(7, rest.size());
            for (int i = 0; i < rest.size(); i++) {
                assertArrayEquals(whole.get(4 + i).tokens(), rest.get(i).tokens());
            }
        }
    }

    @Test
    void truncationAndLargestBatch() {
        try (BatchLoader loader = loader(examples, null, 5, 10, 42, true)) {
            assertEquals(IntStream.range(0, 103).filter(i -> 3 + i % 7 > 5).count(), loader.truncated());
            int most = 0;
            for (int epoch = 0; epoch < 3; epoch++) {
                for (PackedBatch batch : all(loader.epoch(epoch, 0))) {
                    most = Math.max(most, batch.totalTokens());
                    assertEquals(PackedBatch.IGNORE, batch.labels()[0]);
                }
            }
            assertEquals(new Capacity(most, 10, 10, 10, 0), loader.capacity(0, 3));
        }
    }

    @Test
    void failuresReachTheConsumer() {
        try (BatchLoader loader = loader(examples, labels, 2, 10, 0, false)) {
            Iterator<PackedBatch> epoch = loader.epoch(0, 0);
            WarpBertException error = assertThrows(WarpBertException.class, epoch::next);
            assertEquals("The maximum length must be at least 3 tokens, not 2.", error.getMessage());
            assertSame(WarpBertException.class, error.getCause().getClass());
            assertFalse(epoch.hasNext());
        }
        try (BatchLoader loader = loader(examples, labels, 16, 10, 0, false)) {
            tokenizer.close();
            Iterator<PackedBatch> epoch = loader.epoch(0, 0);
            assertTrue(assertThrows(WarpBertException.class, epoch::next).getMessage().contains("closed"));
        }
    }

    @Test
    void abandonedEpochsEndAndTheirThreadsWithThem() {
        long before = threads();
        Iterator<PackedBatch> first;
        try (BatchLoader loader = loader(examples, labels, 16, 1, 0, false)) {
            first = loader.epoch(0, 0);
            first.next();
            Iterator<PackedBatch> second = loader.epoch(1, 0);
            assertThrows(WarpBertException.class, first::next);
            assertEquals(103, all(second).size());
            assertThrows(NoSuchElementException.class, second::next);
            first = loader.epoch(2, 0);
        }
        assertThrows(WarpBertException.class, first::next);
        assertEquals(before, threads());
    }

    /** As where a short text is to be answered at once; also of any size, without an overflow. */
    @ParameterizedTest
    @ValueSource(ints = {103, 104, Integer.MAX_VALUE})
    void aLoneBatchIsMadeByWhoAsksForIt(int batchSize) {
        LabelledTexts texts = LabelledTexts.ofClasses(tokenizer, examples, labels, 16);
        List<Thread> threads = new ArrayList<>();
        InstanceSource source = new InstanceSource() {
            @Override
            public int size() {
                return texts.size();
            }

            @Override
            public List<Instance> encode(int[] rows) {
                threads.add(Thread.currentThread());
                return texts.encode(rows);
            }
        };
        try (BatchLoader loader = new BatchLoader(source, batchSize, 0, false)) {
            assertEquals(1, loader.batchesPerEpoch());
            List<PackedBatch> batches = all(loader.epoch(0, 0));
            assertEquals(1, batches.size());
            assertArrayEquals(labels, batches.get(0).labels());
            assertEquals(List.of(Thread.currentThread()), threads);
        }
    }

    @Test
    void pairsAreEncodedAsPairs() {
        List<Example> pairs = List.of(new Example(1, "w1", "w2 w3", null), new Example(2, "w4", "w5", null));
        try (BatchLoader loader = loader(pairs, null, 16, 2, 0, false)) {
            PackedBatch batch = loader.epoch(0, 0).next();
            assertArrayEquals(new int[] {2, 6, 3, 7, 8, 3, 2, 9, 3, 10, 3}, batch.tokens());
            assertArrayEquals(new int[] {0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1}, batch.segments());
        }
    }

    /** A source may make something else of an example in each epoch; the batches are what it drew. */
    @Test
    void examplesAreDrawnAnewInEachEpoch() {
        InstanceSource source = new InstanceSource() {
            @Override
            public int size() {
                return 5;
            }

            @Override
            public List<Instance> encode(int[] rows) {
                return Arrays.stream(rows).mapToObj(row -> Instance.of(new Encoded(new int[] {row}, new byte[1], false), 0)).toList();
            }

            @Override
            public Instance draw(Instance instance, int row, int epoch) {
                return Instance.of(instance.sequences().get(0), 100 * epoch + row);
            }
        };
        try (BatchLoader loader = new BatchLoader(source, 2, 3, true)) {
            for (int epoch = 0; epoch < 3; epoch++) {
                for (PackedBatch batch : all(loader.epoch(epoch, 0))) {
                    for (int b = 0; b < batch.sequences(); b++) {
                        assertEquals(100 * epoch + batch.tokens()[b], batch.labels()[b]);
                    }
                }
            }
        }
    }

    @Test
    void badArguments() {
        assertThrows(WarpBertException.class, () -> loader(examples, labels, 16, 0, 0, true));
        assertThrows(WarpBertException.class, () -> loader(List.of(), null, 16, 1, 0, true));
        assertThrows(WarpBertException.class,
                () -> loader(examples, new int[1], 16, 1, 0, true));
        List<Example> mixed = List.of(new Example(1, "w1", "w2", null), new Example(2, "w4", null, null));
        assertThrows(WarpBertException.class, () -> loader(mixed, null, 16, 1, 0, true));
    }

    private BatchLoader loader(List<Example> rows, int[] classes, int maxLength, int batchSize, long seed, boolean shuffle) {
        InstanceSource source = classes == null ? new LabelledTexts(tokenizer, rows, null, maxLength)
                : LabelledTexts.ofClasses(tokenizer, rows, classes, maxLength);
        return new BatchLoader(source, batchSize, seed, shuffle);
    }

    private static List<PackedBatch> all(Iterator<PackedBatch> epoch) {
        List<PackedBatch> batches = new ArrayList<>();
        epoch.forEachRemaining(batches::add);
        return batches;
    }

    private static long threads() {
        return Thread.getAllStackTraces().keySet().stream().filter(t -> t.getName().equals("warpbert-loader")).count();
    }
}
