package org.warpbert.memory;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.HostMemory;
import org.warpbert.model.BertConfig;
import org.warpbert.model.BertModel;
import org.warpbert.model.Gradients;
import org.warpbert.model.Head;
import org.warpbert.model.Parameters;
import org.warpbert.model.PassPlan;
import org.warpbert.model.TrainedPart;
import org.warpbert.text.Capacity;
import org.warpbert.task.ClassificationHead;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.Trainer;

/** That the plan is the allocation, to the byte, and that an arena without memory says so. */
class ArenaTest {
    private Backend backend;

    @BeforeEach
    void open() {
        backend = Backends.open("cpu", 1);
    }

    @AfterEach
    void close() {
        assertEquals(0, backend.allocatedBytes(), "everything was given back");
        backend.close();
    }

    @Test
    void tableIsTheAllocation() {
        try (Arena arena = new Arena("test"); HostMemory host = backend.allocateHost("test", 12)) {
            long hostBytes = backend.allocatedBytes();
            Arena.Tensor a = arena.add("a", Dtype.F32, 3, 5);
            Arena.Tensor b = arena.add("b", Dtype.BF16, 1);
            Arena.Tensor c = arena.add("c", Dtype.F32, 0, 7);
            Arena.Tensor d = arena.add("d", Dtype.F32, 65);
            assertEquals(256 + 256 + 0 + 512, arena.bytes());
            assertEquals(List.of(60L, 2L, 0L, 260L), arena.tensors().stream().map(Arena.Tensor::bytes).toList());
            arena.allocate(backend);
            assertEquals(arena.bytes() + arena.hostBytes(), backend.allocatedBytes() - hostBytes);
            assertEquals(List.of(256L, 256L, 0L), List.of(b.address() - a.address(), c.address() - b.address(), d.address() - c.address()));
            assertEquals(0, a.address() % 256);
            float[] values = {1, 2, 3};
            host.buffer().asFloatBuffer().put(values);
            arena.upload(d, host, 12);
            assertArrayEquals(values, d.downloadFloats(3));
            assertTrue(failure(() -> d.downloadFloats(66)).contains("d holds 65 elements, not 66"));
            assertTrue(failure(() -> arena.upload(b, host, 12)).contains("12 bytes do not fit b"));
            host.buffer().putShort(0, (short) 0xbfc0);
            arena.upload(b, host, 2);
            assertArrayEquals(new float[] {-1.5f}, b.downloadFloats(1), "bfloat16");
        }
    }

    @Test
    void aTensorWithoutMemorySaysSo() {
        Arena arena = new Arena("a plan");
        Arena.Tensor x = arena.add("x", Dtype.F32, 8);
        HostMemory host = backend.allocateHost("test", 4);
        List<Executable> uses = List.of(x::address, () -> x.downloadFloats(1), () -> arena.upload(x, host, 4), () -> arena.download(x, host, 4));
        uses.forEach(use -> assertNamed(failure(use)));
        arena.allocate(backend);
        assertTrue(failure(() -> arena.allocate(backend)).contains("a plan is allocated already"));
        assertTrue(failure(() -> arena.add("late", Dtype.F32, 1)).contains("late comes too late"));
        arena.close();
        arena.close();
        uses.forEach(use -> assertNamed(failure(use)));
        host.close();
    }

    private static void assertNamed(String message) {
        assertTrue(message.contains("a plan") && message.contains("x"), message);
    }

    @Test
    void tensorsStandInWhatIsLentWhileItLasts() {
        try (DeviceMemory lender = backend.allocate("the lender", 1024); Arena arena = new Arena("test")) {
            Arena.Tensor own = arena.add("own", Dtype.F32, 4);
            Arena.Tensor early = arena.addLent(100, "early", Dtype.F32, 26);
            Arena.Tensor first = arena.addLent(600, "first", Dtype.F32, 10);
            Arena.Tensor large = arena.addLent(600, "large", Dtype.F32, 87);
            Arena.Tensor second = arena.addLent(600, "second", Dtype.F32, 86);
            assertEquals(256 + 256 + 512, arena.bytes(), "own, early and large");
            assertTrue(failure(() -> arena.allocate(backend)).contains("test is to borrow 768 bytes, of nobody"));
            arena.allocate(backend, new Loan(lender, 256));
            assertEquals(List.of(lender.address() + 256, lender.address() + 512), List.of(first.address(), second.address()));
            assertEquals(List.of(own.address() + 256, own.address() + 512), List.of(early.address(), large.address()));
            float[] values = new float[86];
            for (int i = 0; i < values.length; i++) {
                values[i] = i + 1;
            }
            second.upload(values);
            assertArrayEquals(values, second.downloadFloats(86));
            assertArrayEquals(values, lender.downloadFloats(128, 86), "in the lender's memory");
        }
    }

    /** More than the block on the host holds comes and goes in pieces. */
    @Test
    void tensorsComeToTheHostPieceByPiece() {
        try (Arena arena = new Arena("test")) {
            Arena.Tensor before = arena.add("before", Dtype.F32, 5);
            Arena.Tensor x = arena.add("x", Dtype.F32, 3, 33_333);
            Arena.Tensor y = arena.add("y", Dtype.BF16, 100_001);
            Arena.Tensor after = arena.add("after", Dtype.F32, 5);
            arena.allocate(backend);
            assertTrue(arena.hostBytes() < x.bytes() / 4, "several pieces");
            float[] values = new float[99_999];
            float[] rounded = new float[100_001];
            for (int i = 0; i < rounded.length; i++) {
                rounded[i] = i % 251 - 125;
            }
            for (int i = 0; i < values.length; i++) {
                values[i] = i + 0.5f;
            }
            before.upload(new float[5]);
            after.upload(new float[5]);
            x.upload(values);
            assertArrayEquals(values, x.downloadFloats(99_999));
            assertArrayEquals(Arrays.copyOf(values, 99_998), x.downloadFloats(99_998));
            assertArrayEquals(new float[5], before.downloadFloats(5));
            assertArrayEquals(new float[5], after.downloadFloats(5));
            try (HostMemory halves = backend.allocateHost("test", 2 * rounded.length)) {
                for (float value : rounded) {
                    halves.buffer().putShort((short) (Float.floatToIntBits(value) >>> 16)); // exact: 8 bits are enough for these
                }
                arena.upload(y, halves, 2 * rounded.length);
            }
            assertArrayEquals(rounded, y.downloadFloats(rounded.length));
            assertTrue(failure(() -> x.upload(new float[3])).contains("3 floats are not the elements of x"));
        }
    }

    @Test
    void extentsThatOverflowAreAnError() {
        Arena arena = new Arena("huge");
        assertThrows(ArithmeticException.class, () -> arena.add("x", Dtype.F32, Long.MAX_VALUE / 2, 3));
    }

    @ParameterizedTest
    @CsvSource({"24, 3, 40, 2, 61, 7, true, NONE", "24, 3, 40, 2, 61, 7, false, NONE", "768, 12, 3072, 1, 333, 5, true, NONE",
        "64, 2, 97, 3, 1, 1, false, NONE", "24, 3, 40, 4, 61, 7, true, OUTPUTS", "24, 3, 40, 4, 61, 7, true, ATTENTION",
        "24, 3, 40, 4, 61, 7, true, LAYERS"})
    void modelsAllocateWhatTheyPlan(int hidden, int heads, int intermediate, int layers, int tokens, int sequences, boolean training,
            Recompute recompute) {
        BertConfig config = BertConfig.ofSizes(53, hidden, layers, heads, intermediate, 40, 2);
        try (Parameters parameters = Parameters.random(backend, ClassificationHead.parameters(config, 3), 1)) {
            assertEquals(parameters.table().size() * Float.BYTES, backend.allocatedBytes());
            try (Gradients gradients = new Gradients(backend, parameters.table())) {
                assertEquals(2 * parameters.table().size() * Float.BYTES + config.vocabSize(), backend.allocatedBytes(), "and a byte for each word");
                for (boolean withHead : new boolean[] {true, false}) {
                    long before = backend.allocatedBytes();
                    Head planned = withHead ? new ClassificationHead(3) : Head.NONE;
                    PassPlan pass = new PassPlan(Capacity.of(tokens, sequences), Dtype.F32, training, recompute);
                    long plan = BertModel.plannedBytes(config, planned, pass, "cpu");
                    Head head = withHead ? new ClassificationHead(3) : Head.NONE;
                    BertModel model = new BertModel(backend, config, parameters, training ? gradients : null, head, pass);
                    try (model) {
                        assertEquals(plan, backend.allocatedBytes() - before);
                    }
                }
            }
        }
    }

    @Test
    void trainersAllocateWhatTheyPlan() {
        BertConfig config = BertConfig.ofSizes(53, 24, 2, 3, 40, 40, 2);
        try (Parameters parameters = Parameters.random(backend, ClassificationHead.parameters(config, 3), 1)) {
            long before = backend.allocatedBytes();
            long plan = Trainer.memory(new TrainedPart(parameters.table(), 0), Dtype.F32, Capacity.of(61, 7)).on("cpu").bytes()
                    + BertModel.plannedBytes(config, new ClassificationHead(3), PassPlan.training(Dtype.F32, 0, "cpu").withWhole(Capacity.of(61, 7), Recompute.NONE), "cpu");
            Trainer trainer = new Trainer(backend, config, parameters, new ClassificationHead(3), Hyperparameters.DEFAULT, 10, Capacity.of(61, 7));
            try (trainer) {
                assertEquals(plan, backend.allocatedBytes() - before);
            }
        }
    }

    private static String failure(Executable use) {
        return assertThrows(WarpBertException.class, use).getMessage();
    }
}
