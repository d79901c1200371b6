package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.warpbert.model.BertModel;
import org.warpbert.model.Head;
import org.warpbert.model.ParameterTable;
import org.warpbert.text.PackedBatch;

/** Calls that wait while another is computed: which of them share a batch, and that nobody can tell by the answers. */
@Timeout(60)
class SharedBatchesTest {
    private static final int HIDDEN = 32;
    private static final int MOST = 32;

    @TempDir
    Path folder;

    private final List<Integer> batches = new ArrayList<>(); // their sequences
    private final CountDownLatch computing = new CountDownLatch(1);
    private final CountDownLatch goOn = new CountDownLatch(1);
    private RuntimeException failure; // of a batch that holds one of this call's texts
    private int failing;

    @BeforeEach
    void write() throws Exception {
        TinyModel.write(folder, TinyModel.config(HIDDEN, 2), ParameterTable.bert(TinyModel.config(HIDDEN, 2)).build());
    }

    private OpenModel open() {
        return OpenModel.load(folder.toString(), Compute.on("cpu").withThreads(2), line -> {},
                checkpoint -> ParameterTable.bert(checkpoint.config()).build(), "");
    }

    /** The first hidden state of a sequence. */
    private static IntFunction<float[]> states(BertModel pass, PackedBatch batch) {
        float[] states = pass.lastHiddenState();
        return b -> Arrays.copyOfRange(states, batch.cuSeqlens()[b] * HIDDEN, (batch.cuSeqlens()[b] + 1) * HIDDEN);
    }

    /** The same, but the first batch waits until the calls behind it are queued. */
    private IntFunction<float[]> held(BertModel pass, PackedBatch batch) {
        batches.add(batch.sequences());
        if (batches.size() == 1) {
            computing.countDown();
            try {
                goOn.await();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
        if (failure != null && IntStream.range(0, batch.sequences()).anyMatch(b -> batch.cuSeqlens()[b + 1] - batch.cuSeqlens()[b] == 4 + failing)) {
            throw failure; // as texts() makes them, call c's have 4 + c tokens
        }
        return states(pass, batch);
    }

    private static List<String> texts(int call, int count) {
        return IntStream.range(0, count).mapToObj(i -> "w" + call + " w" + i + " w7".repeat(call)).toList();
    }

    /** Calls, one thread each; all but the first come, in order, while it is computed. */
    private List<FutureTask<List<float[]>>> ask(SharedBatches<float[]> answers, int[] counts, int[] batchSizes) throws InterruptedException {
        List<FutureTask<List<float[]>>> calls = new ArrayList<>();
        for (int c = 0; c < counts.length; c++) {
            int call = c;
            Callable<List<float[]>> work = () -> answers.to(texts(call, counts[call]), null, 512, batchSizes[call]);
            FutureTask<List<float[]>> task = new FutureTask<>(work);
            Thread thread = new Thread(task);
            thread.start();
            if (c == 0) {
                computing.await();
            }
            while (c > 0 && thread.getState() != Thread.State.WAITING) {
                Thread.onSpinWait();
            }
            calls.add(task);
        }
        goOn.countDown();
        return calls;
    }

    @Test
    void callsThatWaitShareABatchWhileThereIsRoom() throws Exception {
        int[] counts = {1, 1, 2, 2, 40, 3, 0};
        int[] batchSizes = {MOST, MOST, MOST, 2, MOST, MOST, MOST};
        try (OpenModel opened = open(); Inference<Head> inference = new Inference<>(opened, Head.NONE)) {
            SharedBatches<float[]> alone = new SharedBatches<>(opened, inference, SharedBatchesTest::states);
            List<List<float[]>> expected = IntStream.range(0, counts.length).mapToObj(c -> alone.to(texts(c, counts[c]), null, 512, batchSizes[c])).toList();
            List<FutureTask<List<float[]>>> calls = ask(new SharedBatches<>(opened, inference, this::held), counts, batchSizes);
            for (int c = 0; c < counts.length; c++) {
                List<float[]> given = calls.get(c).get();
                assertEquals(counts[c], given.size());
                for (int i = 0; i < counts[c]; i++) {
                    assertArrayEquals(expected.get(c).get(i), given.get(i), "call " + c + ", text " + i);
                }
            }
        }
        assertEquals(List.of(1, 1 + 2 + 3, 2, MOST, 40 - MOST), batches);
    }

    /** The failing call is the one in whose turn the batch is computed, or one that shares it. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void aFailureIsToldToItsOwnCallAndNoOther(int call) throws Exception {
        failure = new IllegalStateException("broken");
        failing = call;
        int[] counts = {1, 1, 2, 3, 40};
        try (OpenModel opened = open(); Inference<Head> inference = new Inference<>(opened, Head.NONE)) {
            List<FutureTask<List<float[]>>> calls = ask(new SharedBatches<>(opened, inference, this::held), counts, new int[] {MOST, MOST, MOST, MOST, MOST});
            for (int c = 0; c < counts.length; c++) {
                FutureTask<List<float[]>> other = calls.get(c);
                if (c == call) {
                    assertSame(failure, assertThrows(ExecutionException.class, other::get).getCause());
                } else {
                    assertEquals(counts[c], other.get().size());
                }
            }
        }
        assertEquals(List.of(1, 1 + 2 + 3, 1, 2, 3, MOST, 40 - MOST), batches, "they shared one, and were then alone");
    }
}
