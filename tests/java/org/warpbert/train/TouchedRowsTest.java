package org.warpbert.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.Dtype;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Gradients;
import org.warpbert.model.Parameters;
import org.warpbert.model.TouchedRows;
import org.warpbert.model.TrainedPart;
import org.warpbert.model.WeightFormat;
import org.warpbert.task.ClassificationHead;
import org.warpbert.task.MaskedWordHead;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;

/** Words that no batch has had yet are passed over, and that changes not a bit. */
class TouchedRowsTest {
    private static final int WORDS = 701;
    private static final int MET = 500; // no batch has words from here on
    private static final int WIDTH = 32;
    private static final int STEPS = 6;
    private static final int BATCH = 6;
    private static final int LONGEST = 13;
    private static final BertConfig CONFIG = BertConfig.ofSizes(WORDS, WIDTH, 2, 1, 48, 20, 2);

    private record Run(Steps steps, byte[] touched) {}

    private static PackedBatch batch(int step) {
        SplittableRandom random = new SplittableRandom(step);
        List<Encoded> sequences = new ArrayList<>();
        for (int i = 0; i < BATCH; i++) {
            int length = LONGEST - i;
            sequences.add(new Encoded(random.ints(length, 0, MET).toArray(), new byte[length], false));
        }
        return PackedBatch.of(sequences, random.ints(BATCH, 0, 2).toArray());
    }

    /** @param dense every word is said to be touched before the first step; else the gradient of those that never will is NaN */
    private static Run run(String device, Dtype dtype, Dtype moments, double decay, boolean inParts, boolean dense) {
        Hyperparameters hyper = new Hyperparameters(1, BATCH, LONGEST, 1e-2, 1, decay, 0.5, 0.1, Schedule.LINEAR, 0, 0, 42, false);
        try (Backend backend = Backends.open(device, 2);
                Parameters parameters = Parameters.random(backend, ClassificationHead.parameters(CONFIG, 2), new WeightFormat(dtype, true), 3);
                Trainer trainer = new Trainer(backend, CONFIG, parameters, new ClassificationHead(2), hyper, STEPS,
                        inParts ? Capacity.of(30, 3) : Capacity.of(BATCH * LONGEST, BATCH), moments, LossScale.of(dtype))) {
            TouchedRows touched = trainer.gradients().touched();
            assertEquals(List.of((long) WORDS, (long) WIDTH), List.of(touched.rows(), touched.width()));
            assertArrayEquals(new byte[WORDS], read(backend, touched), "none at first");
            if (dense) {
                fill(backend, touched.address(), WORDS, (byte) 1);
            } else {
                fill(backend, trainer.gradients().address() + (long) MET * WIDTH * Float.BYTES, (WORDS - MET) * WIDTH * Float.BYTES, (byte) 0xff);
            }
            assertEquals(inParts, batch(0).totalTokens() > trainer.choice().microBatch().tokens());
            return new Run(Steps.taken(trainer, parameters, STEPS, TouchedRowsTest::batch), read(backend, touched));
        }
    }

    private static void fill(Backend backend, long address, int count, byte value) {
        try (DeviceMemory values = backend.allocate("values", count)) {
            byte[] bytes = new byte[count];
            Arrays.fill(bytes, value);
            values.upload(0, ByteBuffer.allocateDirect(count).put(bytes).flip());
            backend.copy(address, values.address(), count);
            backend.synchronize();
        }
    }

    private static byte[] read(Backend backend, TouchedRows touched) {
        try (DeviceMemory copy = backend.allocate("copy", touched.rows())) {
            backend.copy(copy.address(), touched.address(), touched.rows());
            byte[] bytes = new byte[(int) touched.rows()];
            copy.download(0, bytes.length).get(bytes);
            return bytes;
        }
    }

    @ParameterizedTest
    @CsvSource({"cpu, F32, F32, 0.1, false", "cpu, F32, F32, 0, true", "cpu, F32, BF16, 0.1, true", "simt, F32, F32, 0.1, true",
        "simt, F32, F32, 0, false", "simt, BF16, BF16, 0.1, false", "simt, F16, F32, 0.1, true"})
    void stepsAreThoseOfAllRows(String device, Dtype dtype, Dtype moments, double decay, boolean inParts) {
        Run dense = run(device, dtype, moments, decay, inParts, true);
        Run sparse = run(device, dtype, moments, decay, inParts, false);
        dense.steps.assertSame(sparse.steps);
        assertTrue(sparse.steps.results().stream().noneMatch(Trainer.Result::skipped), "no gradient was NaN");
        byte[] expected = new byte[WORDS];
        for (int step = 0; step < STEPS; step++) {
            for (int word : batch(step).tokens()) {
                expected[word] = 1;
            }
        }
        int[] words = {0, 0}; // at rest, touched
        for (int word = 0; word < WORDS; word++) {
            words[sparse.touched[word]]++;
        }
        assertTrue(words[0] > 250 && words[1] > 250, Arrays.toString(words));
        // CUDA's encoder computes filler behind the batch, of word 0
        expected[0] = device.equals("cpu") ? expected[0] : sparse.touched[0];
        assertArrayEquals(expected, sparse.touched);
    }

    /** A decoder of the words gives every word a gradient, and frozen words have none. */
    @Test
    void whereWordsDecodeOrAreFrozenThereIsNoSuchTable() {
        try (Backend backend = Backends.open("cpu", 1); Gradients decoding = new Gradients(backend, MaskedWordHead.parameters(CONFIG, true));
                Gradients frozen = new Gradients(backend, new TrainedPart(ClassificationHead.parameters(CONFIG, 2), 1))) {
            assertEquals(TouchedRows.ALL, decoding.touched());
            assertEquals(TouchedRows.ALL, frozen.touched());
            assertEquals(decoding.part().size() * Float.BYTES, Gradients.plannedBytes(decoding.part()));
            assertEquals(frozen.part().size() * Float.BYTES, Gradients.plannedBytes(frozen.part()));
        }
    }
}
