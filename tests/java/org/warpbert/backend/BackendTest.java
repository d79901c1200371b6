package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.warpbert.WarpBertException;

/** A backend's life: opening, memory, running out of it, closing, and what comes after. */
class BackendTest {
    static List<String> backends() {
        return TestBackends.available();
    }

    private static String failure(Executable use) {
        return assertThrows(WarpBertException.class, use).getMessage();
    }

    private static void run(Executable use) {
        try {
            use.execute();
        } catch (RuntimeException e) {
            throw e;
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void anUnknownDeviceIsNamedWithTheKnown() {
        String message = failure(() -> Backends.open("abacus", 1));
        assertTrue(message.contains("\"abacus\"") && message.contains("cpu"), message);
        assertTrue(failure(() -> Backends.open("cpu", -1)).contains("-1"));
        for (String wrong : List.of("cuda:", "cuda:x", "cuda1", "cuda:-1", "cuda:1234", "gpu")) {
            assertTrue(failure(() -> Backends.open(wrong, 1)).contains("device \"" + wrong + "\" is not known; there are auto, cpu, cuda"));
        }
    }

    /** Here as everywhere: a GPU that is asked for is opened, or it is said why not. The CPU is never taken in its place. */
    @Test
    void aGpuThatIsAskedForIsNeverReplaced() {
        for (String device : List.of("cuda", "cuda:0", "cuda:999")) {
            try (Backend backend = Backends.open(device, 1)) {
                assertEquals("cuda", backend.name());
                assertTrue(!device.endsWith("999"), "there is no such device");
            } catch (WarpBertException e) {
                assertTrue(e.getMessage().contains("libwarpbert_cuda.so") || e.getMessage().startsWith("the cuda backend cannot be opened: ")
                        || e.getMessage().startsWith("cuBLAS 13 cannot be loaded: "), e.getMessage());
                assertTrue(e.getMessage().indexOf('\n') < 0, e.getMessage());
            }
        }
    }

    @Test
    void autoTakesWhatThereIs() {
        try (Backend backend = Backends.open("auto", 1)) {
            boolean driver = CudaLibraries.driverLikely();
            assertTrue(backend.name().equals("cpu") || driver);
            assertEquals(driver && backend.name().equals("cpu"), backend.describe().contains("; no GPU: "), backend.describe());
        }
    }

    @Test
    void isOpenedInAPrecision() {
        assertPrecision(Precision.F32, Dtype.F32, Backends.open("cpu", 1));
        for (String name : TestBackends.available()) { // simt is not in the package, where this runs too
            if (!name.equals("cpu")) {
                assertPrecision(Precision.F32, Dtype.F32, Backends.open(name, 1, Precision.F32));
                assertPrecision(Precision.BF16, Dtype.BF16, Backends.open(name, 1, Precision.BF16));
            }
        }
        assertTrue(failure(() -> Backends.open("cpu", 1, Precision.FP16)).contains("the precision fp16 (--precision) is not to be had on cpu"));
        assertPrecision(Precision.BF16, Dtype.F32, CpuBf16.open(1)); // products alone
    }

    private static void assertPrecision(Precision precision, Dtype stored, Backend opened) {
        try (opened) {
            assertEquals(precision, opened.precision());
            assertEquals(stored, opened.dtype());
        }
    }

    @Test
    void aLibraryThatIsNotThereOrNoBackendSaysSo() {
        assertTrue(failure(() -> new Backend("cpu", "/nowhere/libwarpbert_cpu.so", 0, 1, Precision.AUTO, null)).contains("/nowhere/libwarpbert_cpu.so"));
        assertTrue(failure(() -> new Backend("cpu", "libm.so.6", 0, 1, Precision.AUTO, null)).contains("not a WarpBERT backend"));
        assertTrue(failure(() -> new Backend("cpu", Backends.library("cpu"), 3, 1, Precision.AUTO, null)).contains("3"));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void describesItself(String name) {
        try (Backend backend = Backends.open(name, 2)) {
            assertEquals(name, backend.name());
            assertTrue(backend.describe().length() > 10 && backend.describe().indexOf('\0') < 0 && backend.describe().indexOf('\n') < 0, backend.describe());
            assertTrue(backend.freeBytes() > 0 && backend.freeBytes() <= backend.totalBytes(), backend.freeBytes() + " of " + backend.totalBytes());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void memoryKeepsWhatIsPutThere(String name) {
        try (Backend backend = Backends.open(name, 2); DeviceMemory a = backend.allocate("a", 8_000_000); DeviceMemory b = backend.allocate("b", 8_000_000)) {
            assertEquals(0, a.address() % 256);
            float[] values = Floats.normal(1, 2_000_000);
            a.upload(values);
            backend.copy(b.address(), a.address(), 8_000_000);
            assertArrayEquals(values, b.downloadFloats(0, values.length));
            b.upload(1_999_998, new float[] {5, 6, 7}, 2);
            assertArrayEquals(new float[] {values[1_999_997], 5, 6}, b.downloadFloats(1_999_997, 3));
            b.zero();
            assertArrayEquals(new float[2_000_000], b.downloadFloats(0, 2_000_000));
            assertArrayEquals(values, a.downloadFloats(0, values.length), "what is beside it stays");
            backend.synchronize();
            assertTrue(failure(() -> a.upload(1_999_999, values, 2)).contains("leaves the 8000000 bytes of a"));
            assertTrue(failure(() -> a.downloadFloats(-1, 2)).contains("of a"));
            assertTrue(failure(() -> a.upload(0, ByteBuffer.allocate(4))).contains("direct"));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void hostMemoryIsUploadedFrom(String name) {
        try (Backend backend = Backends.open(name, 1); DeviceMemory memory = backend.allocate("a", 12)) {
            long held = backend.allocatedBytes();
            HostMemory host = backend.allocateHost("staging", 12);
            assertEquals(0, host.address() % 256);
            assertEquals(12, host.buffer().capacity());
            boolean shared = !name.equals("cuda");
            assertEquals(held + (shared ? 12 : 0), backend.allocatedBytes(), "the device's where that is the host's");
            assertEquals(shared ? 0 : 12, backend.hostBytes());
            host.buffer().asFloatBuffer().put(new float[] {1, 2, 3});
            memory.upload(host, 12);
            assertArrayEquals(new float[] {1, 2, 3}, memory.downloadFloats(0, 3));
            host.buffer().asFloatBuffer().put(9);
            memory.upload(host, 4);
            assertArrayEquals(new float[] {9, 2, 3}, memory.downloadFloats(0, 3));
            assertTrue(failure(() -> memory.upload(host, 13)).contains("leaves the 12 bytes of a"));
            host.close();
            host.close();
            assertEquals(held, backend.allocatedBytes());
            assertEquals(0, backend.hostBytes());
            backend.limit(held + 7);
            if (shared) {
                assertTrue(failure(() -> backend.allocateHost("staging", 8)).contains("no memory for staging on the host"));
            }
            backend.allocateHost("staging", 7).close();
            assertTrue(failure(host::buffer).contains("host memory of staging is used after it was closed"));
            assertTrue(failure(() -> memory.upload(host, 4)).contains("used after it was closed"));
            assertEquals(!name.equals("cpu"), backend.stream() != 0, "a stream where work is queued");
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void whatWasReadBackIsThereOnceItIsWaitedFor(String name) {
        try (Backend backend = Backends.open(name, 1); DeviceMemory memory = backend.allocate("a", 12); HostMemory host = backend.allocateHost("read-back", 16);
                Event first = backend.event(); Event second = backend.event()) {
            first.await(); // never recorded
            memory.upload(new float[] {1, 2, 3});
            memory.downloadAsync(4, 8, host, 8);
            first.record();
            memory.upload(new float[] {4, 5, 6});
            memory.downloadAsync(0, 4, host, 0);
            second.record();
            if (name.equals("simt")) {
                assertTrue(Float.isNaN(host.buffer().getFloat(8)), "a host that does not wait sees it");
            }
            first.await();
            assertEquals(2, host.buffer().getFloat(8));
            assertEquals(3, host.buffer().getFloat(12), "as it was when the stream came to it");
            if (name.equals("simt")) {
                assertTrue(Float.isNaN(host.buffer().getFloat(0)), "the first event is not for the second copy");
            }
            second.await();
            assertEquals(4, host.buffer().getFloat(0));
            first.record(); // now a later place
            memory.downloadAsync(8, 4, host, 4);
            backend.synchronize();
            assertEquals(6, host.buffer().getFloat(4));
            assertTrue(failure(() -> memory.downloadAsync(8, 8, host, 0)).contains("leaves the 12 bytes of a"));
            assertTrue(failure(() -> memory.downloadAsync(0, 8, host, 12)).contains("leaves the 16 bytes of host memory"));
            memory.downloadAsync(0, 12, host, 0);
            host.close(); // waits for it
            first.close();
            first.close();
            assertTrue(failure(first::record).contains("used after it was closed"));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void theDeviceTellsHowLongItsWorkTook(String name) {
        long bytes = name.equals("cuda") ? 512 << 20 : 8 << 20; // more work than asking for it takes a host that has just begun
        try (Backend backend = Backends.open(name, 1); DeviceMemory memory = backend.allocate("a", bytes);
                Event begin = backend.timedEvent(); Event middle = backend.timedEvent(); Event end = backend.timedEvent(); Event plain = backend.event()) {
            if (!backend.asynchronous()) {
                assertTrue(failure(() -> end.secondsSince(begin)).contains("have run when they return"));
                return;
            }
            assertTrue(failure(() -> end.secondsSince(begin)).contains("event_elapsed"), "never recorded");
            backend.zero(memory.address(), bytes); // its code is loaded at its first use
            backend.synchronize();
            long before = System.nanoTime();
            begin.record();
            backend.zero(memory.address(), bytes);
            middle.record();
            for (int i = 0; i < 20; i++) {
                backend.zero(memory.address(), bytes);
            }
            end.record();
            double all = end.secondsSince(begin);
            double host = (System.nanoTime() - before) * 1e-9;
            assertTrue(all > 0 && all <= host, all + " s of the device's, " + host + " of the host's");
            assertEquals(all, middle.secondsSince(begin) + end.secondsSince(middle), 1e-5);
            assertTrue(end.secondsSince(middle) > middle.secondsSince(begin), "twenty times the work");
            plain.record();
            assertTrue(failure(() -> plain.secondsSince(begin)).contains("event_elapsed"), "not timed");
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void whatIsCapturedIsDoneAtEachLaunch(String name) {
        try (Backend backend = Backends.open(name, 1); DeviceMemory memory = backend.allocate("a", 8); HostMemory host = backend.allocateHost("staging", 8);
                Event event = backend.event()) {
            Runnable work = () -> backend.copy(memory.address() + 4, memory.address(), 4);
            assertEquals(!name.equals("cpu"), backend.capturesGraphs());
            if (!backend.capturesGraphs()) {
                assertTrue(failure(() -> backend.capture(work)).contains("has no graphs"));
                return;
            }
            memory.upload(new float[] {1, 2});
            Graph graph = backend.capture(work);
            assertArrayEquals(new float[] {1, 2}, memory.downloadFloats(0, 2), "nothing was done");
            graph.launch();
            assertArrayEquals(new float[] {1, 1}, memory.downloadFloats(0, 2));
            memory.upload(0, new float[] {3}, 1);
            graph.launch();
            assertArrayEquals(new float[] {3, 3}, memory.downloadFloats(0, 2));
            List<Executable> refused = List.of(() -> backend.allocate("b", 4), () -> backend.allocateHost("b", 4), () -> memory.upload(new float[] {9}),
                    () -> memory.upload(host, 4), () -> memory.downloadFloats(0, 1), () -> memory.downloadAsync(0, 4, host, 0), backend::synchronize,
                    graph::launch, () -> backend.capture(work), backend::event);
            for (Executable use : refused) {
                String message = failure(() -> backend.capture(() -> run(use)));
                assertTrue(message.contains("not while a graph is captured"), message);
            }
            assertArrayEquals(new float[] {3, 3}, memory.downloadFloats(0, 2), "a capture that failed is over");
            graph.close();
            graph.close();
            assertTrue(failure(graph::launch).contains("used after it was closed"));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void countsWhatIsHeld(String name) {
        try (Backend backend = Backends.open(name, 1)) {
            long own = backend.allocatedBytes(); // what it works with itself
            DeviceMemory a = backend.allocate("a", 1000);
            DeviceMemory b = backend.allocate("b", 50);
            assertEquals(own + 1050, backend.allocatedBytes());
            a.close();
            a.close();
            assertEquals(own + 50, backend.allocatedBytes());
            b.close();
            assertEquals(own, backend.allocatedBytes());
            assertEquals(own + 1050, backend.peakBytes());
            assertTrue(failure(a::address).contains("memory of a is used after it was closed"));
            assertTrue(failure(() -> a.downloadFloats(0, 1)).contains("memory of a is used after it was closed"));
            assertTrue(a.toString().contains("closed"), a.toString());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void refusesAnAbsurdSizeAndGoesOn(String name) {
        try (Backend backend = Backends.open(name, 1)) {
            long own = backend.allocatedBytes();
            for (long bytes : new long[] {1L << 50, Long.MAX_VALUE}) {
                String message = failure(() -> backend.allocate("the moon", bytes));
                assertTrue(message.contains("the moon") && message.contains(Long.toString(bytes)), message);
                assertEquals(own, backend.allocatedBytes());
            }
            try (DeviceMemory memory = backend.allocate("a little", 12)) {
                memory.upload(new float[] {1, 2, 3});
                assertArrayEquals(new float[] {1, 2, 3}, memory.downloadFloats(0, 3));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void closesOnceAndThenRefuses(String name) {
        Backend backend = Backends.open(name, 1);
        DeviceMemory memory = backend.allocate("left over", 64);
        long address = memory.address();
        backend.close();
        backend.close();
        List<Executable> uses = List.of(backend::describe, backend::freeBytes, backend::synchronize, () -> backend.allocate("x", 1),
                () -> backend.zero(address, 4), () -> backend.copy(address, address, 4), () -> memory.downloadFloats(0, 1),
                () -> backend.cast(address, Dtype.F32, address, Dtype.F32, 1));
        uses.forEach(use -> assertTrue(failure(use).contains(name + " backend is used after it was closed")));
        memory.close(); // late, and harmless
    }

    @ParameterizedTest
    @MethodSource("backends")
    void severalMayBeOpen(String name) {
        Backend two = Backends.open(name, 2);
        try (Backend one = Backends.open(name, 1); DeviceMemory memory = one.allocate("a", 4)) {
            two.close();
            memory.upload(new float[] {3});
            assertArrayEquals(new float[] {3}, memory.downloadFloats(0, 1));
        }
    }
}
