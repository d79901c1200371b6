package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.Dtype;
import org.warpbert.backend.OutOfDeviceMemory;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/** Forwards for inference that are launched as graphs, under simt, which keeps what is captured and does it at each launch. */
class GraphCacheTest {
    private static final String GRAPHS = "warpbert.graphs";
    private static final int CLASSES = 3;
    private static final BertConfig CONFIG = BertConfig.ofSizes(100, 32, 2, 1, 64, 80, 2);
    private static final Capacity CAPACITY = Capacity.of(68, 4);

    @AfterEach
    void asBefore() {
        System.clearProperty(GRAPHS);
    }

    /** Sequences of these lengths, with words by the seed. */
    private static PackedBatch batch(int seed, int... lengths) {
        return PackedBatch.of(TinyBert.sequences(seed, lengths), null);
    }

    private static Parameters parameters(Backend backend, Dtype dtype) {
        return Parameters.random(backend, ClassificationHead.parameters(CONFIG, CLASSES), new WeightFormat(dtype, false), 1);
    }

    /** Hidden states and logits of batches, one after the other, by one model. */
    private static List<float[]> forwards(Dtype dtype, List<PackedBatch> batches) {
        List<float[]> results = new ArrayList<>();
        try (Backend backend = Backends.open("simt", 1); Parameters parameters = parameters(backend, dtype)) {
            ClassificationHead head = new ClassificationHead(CLASSES);
            try (BertModel model = new BertModel(backend, CONFIG, parameters, null, head, CAPACITY)) {
                for (PackedBatch batch : batches) {
                    model.forward(batch);
                    results.add(model.lastHiddenState());
                    results.add(head.logits());
                }
            }
        }
        return results;
    }

    /** Shapes that take turns, sizes alike but for the longest sequence, and a key mask: each replay has the eager pass's bits. */
    @ParameterizedTest
    @EnumSource
    void replaysHaveTheBitsOfEagerPasses(Dtype dtype) {
        List<PackedBatch> batches = new ArrayList<>();
        for (int round = 0; round < 4; round++) {
            batches.add(batch(10 + round, 7, 5));
            batches.add(batch(20 + round, 66, 2)); // a larger one, and products use more scratch
            batches.add(batch(30 + round, 34, 34)); // as many tokens, the longest sequence shorter
            batches.add(batch(40 + round, 1 + round)); // never the same shape
            batches.add(batch(50 + round, 6, 4).padded(9, 0));
            batches.add(batch(60 + round, 9, 9)); // the same without a mask
        }
        List<float[]> replayed = forwards(dtype, batches);
        System.setProperty(GRAPHS, "false");
        List<float[]> eager = forwards(dtype, batches);
        for (int i = 0; i < eager.size(); i++) {
            assertArrayEquals(eager.get(i), replayed.get(i), "batch " + i / 2);
        }
        assertFalse(Arrays.equals(replayed.get(24), replayed.get(36)), "inputs are new each time");
    }

    /** Weights that change in their place, as training's do between evaluations, are read anew. */
    @Test
    void replaysReadWeightsAnewAndLeaveNothingBehind() {
        try (Backend backend = Backends.open("simt", 1)) {
            long held = backend.allocatedBytes();
            try (Parameters parameters = parameters(backend, Dtype.F32); BertModel model = new BertModel(backend, CONFIG, parameters, null, Head.NONE, CAPACITY)) {
                PackedBatch batch = batch(1, 7, 5);
                for (int i = 0; i < 3; i++) {
                    model.forward(batch);
                }
                float[] before = model.lastHiddenState();
                float[] gamma = parameters.get("encoder.layer.1.output.LayerNorm.weight");
                for (int i = 0; i < gamma.length; i++) {
                    gamma[i] *= 2;
                }
                parameters.set("encoder.layer.1.output.LayerNorm.weight", gamma);
                model.forward(batch);
                float[] replayed = model.lastHiddenState();
                assertFalse(Arrays.equals(before, replayed));
                int[] seen = {0};
                model.observe((layer, states, qkv) -> seen[0]++); // who looks on needs the ops one by one
                model.forward(batch);
                assertEquals(CONFIG.numHiddenLayers() + 1, seen[0]);
                assertArrayEquals(model.lastHiddenState(), replayed);
            }
            assertEquals(held, backend.allocatedBytes());
        }
    }

    private interface Work {
        void on(Backend backend, long y, long x, long scalars);
    }

    /** Whether captured work does what it does eagerly, after its inputs and a number of the host's have changed. y, x, scalars [4]. */
    private static boolean followsChanges(float[] hostValue, Work work) {
        try (Backend backend = Backends.open("simt", 1); DeviceMemory memory = backend.allocate("floats", 16 * Float.BYTES); GraphCache graphs = new GraphCache(backend, false)) {
            long y = memory.address();
            long x = y + 4 * Float.BYTES;
            long scalars = x + 4 * Float.BYTES;
            Runnable op = () -> work.on(backend, y, x, scalars);
            for (int i = 0; i < 3; i++) {
                hostValue[0] = 1;
                memory.upload(4, new float[] {1, 2, 3, 4, 1, 1, 1, 1}, 8);
                graphs.run(GraphCache.Work.FORWARD, shape(1), op);
            }
            assertEquals(1, graphs.size());
            hostValue[0] = 5;
            memory.upload(4, new float[] {4, 3, 2, 1, 2, 2, 2, 2}, 8);
            graphs.run(GraphCache.Work.FORWARD, shape(1), op);
            float[] replayed = memory.downloadFloats(0, 4);
            op.run();
            return Arrays.equals(memory.downloadFloats(0, 4), replayed);
        }
    }

    /** An op that is given what changes by value would go unseen on a device that was asked op by op: here it is seen. */
    @Test
    void aNumberOfTheHostThatChangesIsSeen() {
        float[] host = {0};
        assertTrue(followsChanges(host, (backend, y, x, scalars) -> backend.meanSquaredError(Dtype.F32, y, 0, x, scalars, 0, 4, 1)), "inputs alone");
        assertFalse(followsChanges(host, (backend, y, x, scalars) -> backend.meanSquaredError(Dtype.F32, scalars + 16, y, x, scalars, host[0], 4, 1)), "its scale is the host's");
        assertFalse(followsChanges(host, (backend, y, x, scalars) -> backend.copy(y, x, (long) host[0] * 2)), "its size is");
        assertFalse(followsChanges(host, (backend, y, x, scalars) -> {
            if (host[0] == 1) {
                backend.zero(y, 16);
            } else {
                backend.copy(y, x, 16);
            }
        }), "which op it is");
    }

    private static EncoderShape shape(int tokens) {
        return new EncoderShape(tokens, 1, tokens, false, 0);
    }

    @Test
    void theLeastUsedGivesWayToWhatComesTwiceAsOften() {
        try (Backend backend = Backends.open("simt", 1); DeviceMemory memory = backend.allocate("floats", 16); GraphCache graphs = new GraphCache(backend, 2)) {
            int[] ran = {0};
            Runnable work = () -> {
                ran[0]++;
                backend.zero(memory.address(), 16);
            };
            int[] sights = {1, 1, 2, 2, 1, 3, 3, 3, 3, 3, 3, 3, 1, 2};
            int[] runs = {1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 10, 10, 10, 11}; // eager or at a capture: at its sixth sight 3 takes the place of 2, which came twice
            for (int i = 0; i < sights.length; i++) {
                graphs.run(GraphCache.Work.FORWARD, shape(sights[i]), work);
                assertEquals(runs[i], ran[0], "sight " + i);
            }
            assertEquals(2, graphs.size());
            graphs.close();
            graphs.close();
            assertEquals(0, graphs.size());
        }
    }

    /** What was asked often and is asked no longer counts half with every 1,024 passes. */
    @Test
    void whatIsNoLongerAskedGivesWay() {
        try (Backend backend = Backends.open("simt", 1); DeviceMemory memory = backend.allocate("floats", 16); GraphCache graphs = new GraphCache(backend, 1)) {
            int[] ran = {0};
            Runnable work = () -> {
                ran[0]++;
                backend.zero(memory.address(), 16);
            };
            for (int i = 0; i < 2048; i++) {
                graphs.run(GraphCache.Work.FORWARD, shape(1), work);
            }
            assertEquals(2, ran[0]);
            int sights = 0;
            for (int before = -1; before < ran[0] && sights < 4096; sights++) {
                before = ran[0];
                graphs.run(GraphCache.Work.FORWARD, shape(2), work);
            }
            assertTrue(sights > 1024 && sights < 3072, sights + " sights until it had a graph");
            assertEquals(1, graphs.size());
        }
    }

    /** A synchronization is among what cannot be captured; afterwards the backend works as before. */
    @Test
    void whatCannotBeCapturedSaysSoAndHowToDoWithoutGraphs() {
        try (Backend backend = Backends.open("simt", 1); DeviceMemory memory = backend.allocate("floats", 16); GraphCache graphs = new GraphCache(backend, false)) {
            Runnable work = () -> {
                backend.zero(memory.address(), 16);
                backend.synchronize();
            };
            graphs.run(GraphCache.Work.FORWARD, shape(1), work);
            String message = assertThrows(WarpBertException.class, () -> graphs.run(GraphCache.Work.FORWARD, shape(1), work)).getMessage();
            assertTrue(message.contains("-Dwarpbert.graphs=false") && message.contains("synchronize"), message);
            work.run();
            assertEquals(0, graphs.size());
        }
    }

    @Test
    void withoutMemoryForAGraphItGoesOn() {
        try (Backend backend = Backends.open("simt", 1); DeviceMemory memory = backend.allocate("floats", 16); GraphCache graphs = new GraphCache(backend, false)) {
            int[] ran = {0};
            for (int i = 1; i <= 4; i++) {
                memory.upload(new float[] {1, 1, 1, 1});
                graphs.run(GraphCache.Work.FORWARD, shape(1), () -> {
                    backend.zero(memory.address(), 16);
                    if (++ran[0] == 2) { // the capture
                        throw new OutOfDeviceMemory("no memory for a graph");
                    }
                });
                assertArrayEquals(new float[4], memory.downloadFloats(0, 4));
                assertEquals(i == 1 ? 1 : i + 1, ran[0]);
            }
            assertEquals(0, graphs.size());
            assertThrows(OutOfDeviceMemory.class, () -> graphs.run(GraphCache.Work.FORWARD, shape(2), () -> {
                throw new OutOfDeviceMemory("the work's own");
            }));
        }
    }

    @Test
    void whereThereAreNone() {
        try (Backend cpu = Backends.open("cpu", 1); Backend simt = Backends.open("simt", 1)) {
            assertFalse(cpu.capturesGraphs());
            assertTrue(simt.capturesGraphs());
            System.setProperty(GRAPHS, "false");
            assertFalse(simt.capturesGraphs());
        }
    }
}
