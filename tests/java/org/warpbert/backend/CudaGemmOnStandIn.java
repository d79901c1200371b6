package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.warpbert.WarpBertException;
import org.warpbert.backend.ColumnMajorGemm.Product;

/**
 * What {@link CudaGemmTest} runs in a JVM of its own, whose libraries are those of {@code tests/native/standins}:
 * {@link CudaGemm} as it is, on simt's memory. Ends with an error where something is wrong.
 */
final class CudaGemmOnStandIn {
    /** rows, in, out. Sums have at most 255 terms of at most 1: exact in bfloat16 too. */
    private static final int[][] SIZES = {{1, 1, 1}, {31, 33, 32}, {3, 97, 5}, {255, 6, 7}, {5, 2, 255}};
    private static final int ROUNDS = 2;
    static final String FAULT = "fault";

    private CudaGemmOnStandIn() {}

    public static void main(String[] args) {
        if (Arrays.equals(args, new String[] {FAULT})) {
            fault();
            return;
        }
        if (args.length > 0) { // only to be told why not
            System.out.println(assertThrows(WarpBertException.class, CublasLt::load).getMessage());
            System.out.println(assertThrows(WarpBertException.class, CublasLt::load).getMessage());
            return;
        }
        try (Backend backend = Backends.open("simt", 1)) {
            long before = backend.allocatedBytes();
            CudaGemm gemm = new CudaGemm(backend, false);
            assertEquals(before + CudaGemm.WORKSPACE_BYTES, backend.allocatedBytes());
            assertEquals("cuBLASLt 13.2.3", gemm.describe());
            for (int round = 0; round < ROUNDS; round++) { // the second time with what was kept from the first
                for (Dtype dtype : Dtype.values()) {
                    for (int[] s : SIZES) {
                        for (int shift : new int[] {0, 1, 4}) { // elements that tensors are off the alignment of allocations
                            products(backend, gemm, dtype, s, shift);
                        }
                    }
                }
            }
            for (Dtype dtype : new Dtype[] {Dtype.F16, Dtype.BF16}) {
                activated(backend, gemm, dtype);
            }
            nothing(backend, gemm);
            refusals(backend, gemm);
            String described = gemm.describe();
            assertTrue(described.startsWith("cuBLASLt 13.2.3, without an epilogue for ") && described.contains(" products, first FORWARD with bias[f32, rows=1, "), described);
            gemm.close();
            gemm.close();
            assertEquals(before, backend.allocatedBytes());
            CudaGemm fast = new CudaGemm(backend, true);
            products(backend, fast, Dtype.F32, SIZES[1], 0);
            assertEquals("cuBLASLt 13.2.3, TF32 for float32", fast.describe());
            fast.close();
            captured(backend);
        }
    }

    /** The library is asked once eagerly and once at the capture, and never again. */
    private static void captured(Backend backend) {
        CudaGemm gemm = new CudaGemm(backend, false);
        try (Typed x = new Typed(backend, Dtype.F32, integers(1, 6), 0); Typed w = new Typed(backend, Dtype.F32, integers(2, 12), 0);
                Typed y = new Typed(backend, Dtype.F32, new float[8], 0)) {
            Runnable product = () -> gemm.forward(Dtype.F32, y.address, x.address, w.address, 2, 3, 4);
            product.run();
            try (Graph graph = backend.capture(product)) {
                for (int i = 0; i < 5; i++) {
                    graph.launch();
                }
            }
        }
        gemm.close();
    }

    private static void products(Backend backend, CudaGemm gemm, Dtype dtype, int[] s, int shift) {
        int rows = s[0];
        int in = s[1];
        int out = s[2];
        float[] x = integers(1, rows * in);
        float[] w = integers(2, out * in);
        float[] dy = integers(3, rows * out);
        float[] bias = integers(4, out);
        float[] y = GemmTest.multiply(GemmTest.Product.FORWARD, s, x, w);
        float[] dx = GemmTest.multiply(GemmTest.Product.BACKWARD_INPUT, s, dy, w);
        float[] dw = GemmTest.multiply(GemmTest.Product.BACKWARD_WEIGHT, s, dy, x);
        float[] biased = y.clone();
        for (int i = 0; i < biased.length; i++) {
            biased[i] += bias[i % out];
        }
        String what = dtype + Arrays.toString(s) + " shifted by " + shift;
        try (Typed tx = new Typed(backend, dtype, x, shift); Typed tw = new Typed(backend, dtype, w, shift);
                Typed tdy = new Typed(backend, dtype, dy, shift); Typed tbias = new Typed(backend, dtype, bias, 0); Typed lowBias = new Typed(backend, dtype, bias, 1);
                Typed ty = new Typed(backend, dtype, new float[y.length], shift);
                Typed tdx = new Typed(backend, dtype, integers(5, dx.length), shift);
                Typed tdw = new Typed(backend, Dtype.F32, integers(6, dw.length), shift)) {
            gemm.forward(dtype, ty.address, tx.address, tw.address, rows, in, out);
            assertArrayEquals(y, ty.values(), what);
            for (Typed each : new Typed[] {tbias, lowBias}) { // an algorithm for the one may not do for the other
                gemm.forwardBias(dtype, ty.address, tx.address, tw.address, each.address, rows, in, out);
                if (in < 255) { // the largest sum and its bias stay exact
                    assertArrayEquals(biased, ty.values(), what);
                }
            }
            if (out < 255) {
                gemm.backwardInput(dtype, tdx.address, tdy.address, tw.address, true, rows, in, out);
                assertArrayEquals(Floats.plus(dx, 1, integers(5, dx.length)), tdx.values(), what + ", added");
            }
            gemm.backwardInput(dtype, tdx.address, tdy.address, tw.address, false, rows, in, out);
            assertArrayEquals(dx, tdx.values(), what);
            gemm.backwardWeight(dtype, tdw.address, tdy.address, tx.address, true, rows, in, out);
            assertArrayEquals(Floats.plus(dw, 1, integers(6, dw.length)), tdw.values(), what + ", added");
            gemm.backwardWeight(dtype, tdw.address, tdy.address, tx.address, false, rows, in, out);
            assertArrayEquals(dw, tdw.values(), what);
            assertArrayEquals(x, tx.values());
            assertArrayEquals(w, tw.values());
            assertArrayEquals(dy, tdy.values());
        }
    }

    /** The stand-in has epilogues for rows of a multiple of 16; of 8 it has none, which is asked for once, and for 3 rows it does not do what it recommended. It checks pointers, lengths and alignments. */
    private static void activated(Backend backend, CudaGemm gemm, Dtype dtype) {
        for (int round = 0; round < ROUNDS; round++) {
            for (int[] s : new int[][] {{5, 32}, {5, 24}, {3, 32}}) {
                int rows = s[0];
                int in = 3;
                int out = s[1];
                boolean had = rows == 5 && out == 32;
                try (Typed x = new Typed(backend, dtype, integers(1, rows * in), 0); Typed w = new Typed(backend, dtype, integers(2, out * in), 0);
                        Typed bias = new Typed(backend, dtype, integers(3, out), 0); Typed y = new Typed(backend, dtype, new float[rows * out], 0);
                        Typed kept = new Typed(backend, dtype, new float[rows * out], 8)) {
                    assertEquals(had, gemm.forwardActivated(dtype, y.address, kept.address, x.address, w.address, bias.address, Activation.GELU_TANH, rows, in, out));
                    float[] sums = GemmTest.multiply(GemmTest.Product.FORWARD, new int[] {rows, in, out}, integers(1, rows * in), integers(2, out * in));
                    for (int i = 0; i < sums.length; i++) {
                        sums[i] = had ? sums[i] + integers(3, out)[i % out] : 0;
                    }
                    assertArrayEquals(sums, kept.values(), "kept");
                    float[] both = y.values();
                    assertEquals(had, gemm.forwardActivated(dtype, y.address, 0, x.address, w.address, bias.address, Activation.GELU_TANH, rows, in, out));
                    assertArrayEquals(both, y.values(), "kept or not");
                    for (int i = 0; i < sums.length; i++) {
                        assertEquals(ActivatedProductTest.gelu(sums[i]), both[i], 0.004 * Math.abs(sums[i]));
                    }
                    // and back through a layer of as many columns: x stands for dy, w [out, in] for its weights [in, out]
                    y.fill(integers(4, rows * out));
                    assertEquals(had, gemm.backwardInputActivated(dtype, y.address, x.address, w.address, kept.address, Activation.GELU_TANH, rows, out, in));
                    float[] through = GemmTest.multiply(GemmTest.Product.BACKWARD_INPUT, new int[] {rows, out, in}, integers(1, rows * in), integers(2, out * in));
                    float[] dx = y.values();
                    for (int i = 0; i < dx.length; i++) {
                        assertEquals(had ? through[i] * ActivatedProductTest.slope(sums[i]) : integers(4, rows * out)[i], dx[i], 0.02);
                    }
                }
            }
        }
    }

    /** Of no rows nothing is written but a weight gradient, which is then a sum of nothing. */
    private static void nothing(Backend backend, CudaGemm gemm) {
        try (Typed w = new Typed(backend, Dtype.F32, integers(1, 6), 0); Typed dw = new Typed(backend, Dtype.F32, integers(2, 6), 0)) {
            gemm.forward(Dtype.F32, w.address, w.address, w.address, 0, 2, 3);
            gemm.backwardInput(Dtype.F32, w.address, w.address, w.address, false, 0, 2, 3);
            gemm.backwardWeight(Dtype.BF16, dw.address, w.address, w.address, true, 0, 2, 3);
            assertArrayEquals(integers(1, 6), w.values());
            assertArrayEquals(integers(2, 6), dw.values());
            gemm.backwardWeight(Dtype.BF16, dw.address, w.address, w.address, false, 0, 2, 3);
            assertArrayEquals(new float[6], dw.values());
        }
    }

    /** What the library refuses is named by product, type and sizes; it can be used afterwards. */
    private static void refusals(Backend backend, CudaGemm gemm) {
        String refused = assertThrows(WarpBertException.class, () -> gemm.check(new GemmKey().set(Product.BACKWARD_INPUT,
                Epilogue.NONE, Dtype.BF16, 3, 4, 5, 0, 0, 0, 0, 0).toString(), 15)).getMessage();
        assertEquals("simt backend, gemm BACKWARD_INPUT[bf16, rows=3, in=4, out=5]: cuBLASLt 13.2.3 says "
                + "CUBLAS_STATUS_NOT_SUPPORTED, it has no algorithm for this", refused);
        String empty = assertThrows(WarpBertException.class, () -> gemm.forward(Dtype.F32, 256, 256, 256, 2, 0, 3)).getMessage();
        assertTrue(empty.contains("gemm FORWARD[f32, rows=2, in=0, out=3]: cuBLASLt 13.2.3 says CUBLAS_STATUS_INVALID_VALUE"), empty);
        products(backend, gemm, Dtype.F32, SIZES[1], 0);
    }

    /** The kernel has left its memory before the product, and the library is the first to meet that. */
    private static void fault() {
        Backend backend = Backends.open("cuda", 1); // not to be closed any more
        String healthy = assertThrows(WarpBertException.class, () -> ((CudaGemm) backend.gemm()).check("it", 7)).getMessage();
        assertEquals("cuda backend, gemm it: cuBLASLt 13.2.3 says CUBLAS_STATUS_INVALID_VALUE", healthy);
        DeviceMemory memory = backend.allocate("it", 4096);
        backend.cast(memory.address(), Dtype.F32, memory.address() + (1L << 40), Dtype.BF16, 1024);
        System.out.println(assertThrows(WarpBertException.class, () -> ((CudaGemm) backend.gemm()).check("it", 7)).getMessage());
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    /** A tensor in any type, cast there and back by the backend. */
    private static final class Typed implements AutoCloseable {
        private final Backend backend;
        private final Dtype dtype;
        private final int count;
        private final DeviceMemory memory;
        private final DeviceMemory floats;
        private final long address;

        Typed(Backend backend, Dtype dtype, float[] values, int shift) {
            this.backend = backend;
            this.dtype = dtype;
            this.count = values.length;
            memory = backend.allocate("tensor", (long) (count + shift) * dtype.bytes());
            floats = backend.allocate("floats", (long) count * Float.BYTES);
            address = memory.address() + (long) shift * dtype.bytes();
            fill(values);
        }

        void fill(float[] values) {
            floats.upload(values);
            backend.cast(address, dtype, floats.address(), Dtype.F32, count);
        }

        float[] values() {
            backend.cast(floats.address(), Dtype.F32, address, dtype, count);
            return floats.downloadFloats(0, count);
        }

        @Override
        public void close() {
            floats.close();
            memory.close(); // which checks what stands round it
        }
    }

    private static float[] integers(long seed, int count) {
        float[] values = new float[count];
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = 0; i < count; i++) {
            values[i] = random.nextInt(-1, 2);
        }
        return values;
    }
}
