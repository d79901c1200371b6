package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.warpbert.backend.GemmTest.upload;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Products that compute an activation of their sums, and its slope, before they round: against float64, and against a product and an op. */
class ActivatedProductTest {
    /** rows, in, out of the forward, out a multiple of 8; the backward goes back through [out, in]. */
    private static final int[][] SIZES = {{1, 1, 8}, {31, 33, 32}, {97, 31, 1032}, {130, 768, 48}, {333, 97, 96}, {1, 768, 3072}};
    private static final int MARGIN = 64;
    private static final float OUTSIDE = 7;

    /** Backends that compute in 16 bits, and the types. */
    static List<Arguments> backends() {
        return names().stream().flatMap(name -> List.of(Dtype.F16, Dtype.BF16).stream().map(dtype -> Arguments.of(name, dtype))).toList();
    }

    static List<String> names() {
        return TestBackends.available().stream().filter(name -> !name.equals("cpu")).toList();
    }

    /** Integers, so that what is kept is exact but for its rounding, and the activation's argument exact altogether. */
    @ParameterizedTest
    @MethodSource("backends")
    void theForwardActivatesItsSums(String name, Dtype dtype) {
        try (Backend backend = Backends.open(name, 2)) {
            List<String> absent = new ArrayList<>();
            for (int[] s : SIZES) {
                Problem p = Problem.ofIntegers(s);
                Result result = forward(backend, dtype, p, true);
                Result inferred = forward(backend, dtype, p, false);
                if (isAbsent(backend, s, result == null || inferred == null, absent)) {
                    continue;
                }
                assertArrayEquals(Half.of(dtype).round(p.sums), result.kept, "kept " + Arrays.toString(s));
                assertNear(name, dtype, apply(ActivatedProductTest::gelu, p.sums), result.y, "gelu" + Arrays.toString(s));
                assertArrayEquals(Floats.filled(p.sums.length, OUTSIDE), inferred.kept, "nothing is kept where nothing is to be");
                assertNear(name, dtype, apply(ActivatedProductTest::gelu, p.sums), inferred.y, "gelu, inferred" + Arrays.toString(s));
            }
            assumeTrue(absent.isEmpty(), () -> "cuBLASLt has no such epilogue at " + absent + "; the other sizes are as they should be");
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void theBackwardMultipliesItsSumsByTheSlope(String name, Dtype dtype) {
        try (Backend backend = Backends.open(name, 2)) {
            List<String> absent = new ArrayList<>();
            for (int[] s : SIZES) {
                Problem p = Problem.ofIntegers(s);
                float[] kept = Half.of(dtype).round(Floats.normal(9, p.sums.length));
                double[] expected = new double[p.sums.length];
                float[] sums = GemmTest.multiply(GemmTest.Product.BACKWARD_INPUT, p.back(), p.dy, p.below);
                for (int i = 0; i < expected.length; i++) {
                    expected[i] = sums[i] * slope(kept[i]);
                }
                float[] dx = backward(backend, dtype, p, kept);
                if (!isAbsent(backend, s, dx == null, absent)) {
                    assertNear(name, dtype, expected, dx, "slope" + Arrays.toString(s));
                }
            }
            assumeTrue(absent.isEmpty(), () -> "cuBLASLt has no such epilogue at " + absent + "; the other sizes are as they should be");
        }
    }

    /**
     * What {@link Gemm#activation} says: in bfloat16 the product's tanh GELU is about as near to GELU by erf as an op's by erf. In the layers of
     * bert-base-uncased, whose arguments have means of -2.1 to -1.2, the forward's error is 0.77 to 1.0 of the op's, the backward's 0.99 to 1.18.
     */
    @ParameterizedTest
    @MethodSource("names")
    void inBfloat16TheProductsGeluIsAsNearToErfAsAnOps(String name) {
        Dtype dtype = Dtype.BF16;
        assertEquals(Activation.GELU_TANH, Gemm.activation(dtype, Activation.GELU));
        int[] s = {200, 64, 96};
        for (float centre : new float[] {0, -1, -2}) {
            Problem p = Problem.ofNormals(s, centre);
            float[] exact = p.sums;
            float[] dx = GemmTest.multiply(GemmTest.Product.BACKWARD_INPUT, p.back(), p.dy, p.below);
            try (Backend backend = Backends.open(name, 2)) {
                Result product = forward(backend, dtype, p, true);
                assertNotNull(product, backend.describe());
                float[] op = activate(backend, dtype, product.kept, s, Activation.GELU);
                double[] y = Floats.widen(byErf(exact, s));
                assertAsNear(name, "forward about " + centre, y, product.y, op);

                float[] rounded = Half.of(dtype).round(dx);
                float[] opBackward = slope(backend, dtype, rounded, product.kept, s, Activation.GELU);
                double[] gradient = Floats.widen(slopeByErf(dx, exact, s));
                assertAsNear(name, "backward about " + centre, gradient, backward(backend, dtype, p, product.kept), opBackward);
            }
        }
    }

    @Test
    void whatNoProductComputesIsRefused() {
        assertEquals(Activation.GELU, Gemm.activation(Dtype.F32, Activation.GELU));
        assertEquals(Activation.GELU, Gemm.activation(Dtype.F16, Activation.GELU), "its rounding is finer than tanh's distance from erf");
        assertEquals(Activation.RELU, Gemm.activation(Dtype.BF16, Activation.RELU));
        assertFalse(Gemm.activates(Dtype.BF16, Activation.GELU_TANH, 12), "rows of 12");
        assertFalse(Gemm.activates(Dtype.BF16, Activation.GELU, 16));
        assertFalse(Gemm.activates(Dtype.F32, Activation.GELU_TANH, 16));
        for (String name : TestBackends.available()) {
            try (Backend backend = Backends.open(name, 1); DeviceMemory all = backend.allocate("operands", 1024)) {
                all.upload(Floats.filled(256, OUTSIDE));
                long at = all.address();
                assertFalse(backend.gemm().forwardActivated(Dtype.F32, at, at + 256, at + 512, at + 768, at, Activation.GELU_TANH, 2, 2, 8));
                assertFalse(backend.gemm().backwardInputActivated(Dtype.F32, at, at + 256, at + 512, at + 768, Activation.GELU_TANH, 2, 8, 2));
                assertArrayEquals(Floats.filled(256, OUTSIDE), all.downloadFloats(0, 256), "and nothing is done");
            }
        }
    }

    /** x [rows, in], w [out, in], bias [out] and their sums [rows, out]; above it dy [rows, in] and a layer below [in, out], both of the same numbers. */
    private record Problem(int[] s, float[] x, float[] w, float[] bias, float[] sums, float[] dy, float[] below) {
        static Problem ofIntegers(int[] s) {
            return of(s, integers(1, s[0] * s[1], 2), integers(2, s[1] * s[2], 1), integers(3, s[2], 3));
        }

        static Problem ofNormals(int[] s, float centre) {
            float[] bias = Floats.normal(3, s[2], 0.3);
            for (int i = 0; i < bias.length; i++) {
                bias[i] += centre;
            }
            return of(s, Floats.normal(1, s[0] * s[1]), Floats.normal(2, s[1] * s[2], 1 / Math.sqrt(s[1])), bias);
        }

        private static Problem of(int[] s, float[] x, float[] w, float[] bias) {
            float[] rx = Half.BF16.round(x); // integers stay, and float16 holds them too
            float[] rw = Half.BF16.round(w);
            float[] rb = Half.BF16.round(bias);
            float[] sums = GemmTest.multiply(GemmTest.Product.FORWARD, s, rx, rw);
            for (int i = 0; i < sums.length; i++) {
                sums[i] += rb[i % s[2]];
            }
            return new Problem(s, rx, rw, rb, sums, rx, transposed(rw, s[2], s[1]));
        }

        /** rows, in and out of the layer that the backward goes through: dx is [rows, out] here. */
        int[] back() {
            return new int[] {s[0], s[2], s[1]};
        }
    }

    private record Result(float[] y, float[] kept) {}

    /** Null where the device has no such product. */
    private static Result forward(Backend backend, Dtype dtype, Problem p, boolean keep) {
        Half half = Half.of(dtype);
        int n = p.sums.length;
        try (DeviceMemory x = upload(backend, half.bytes(p.x)); DeviceMemory w = upload(backend, half.bytes(p.w));
                DeviceMemory bias = upload(backend, half.bytes(p.bias)); DeviceMemory y = poisoned(backend, half, n); DeviceMemory kept = poisoned(backend, half, n)) {
            if (!backend.gemm().forwardActivated(dtype, inside(y), keep ? inside(kept) : 0, x.address(), w.address(), bias.address(),
                    Activation.GELU_TANH, p.s[0], p.s[1], p.s[2])) {
                return null;
            }
            return new Result(within(y, dtype, n), within(kept, dtype, n));
        }
    }

    /** Null where the device has no such product. */
    private static float[] backward(Backend backend, Dtype dtype, Problem p, float[] kept) {
        Half half = Half.of(dtype);
        int n = p.sums.length;
        try (DeviceMemory dy = upload(backend, half.bytes(p.dy)); DeviceMemory w = upload(backend, half.bytes(p.below));
                DeviceMemory x = upload(backend, half.bytes(kept)); DeviceMemory dx = poisoned(backend, half, n)) {
            if (!backend.gemm().backwardInputActivated(dtype, inside(dx), dy.address(), w.address(), x.address(), Activation.GELU_TANH,
                    p.s[0], p.s[2], p.s[1])) {
                return null;
            }
            assertArrayEquals(kept, x.downloadFloats(dtype, 0, n), "only read");
            return within(dx, dtype, n);
        }
    }

    /**
     * A GPU's library may have none for single rows and for rows off 16 bytes; of layers' shapes it must. What then happens is tested with the
     * stand-in ({@link CudaGemmTest}).
     */
    private static boolean isAbsent(Backend backend, int[] s, boolean absent, List<String> all) {
        if (absent) {
            boolean must = s[0] > 1 && s[1] % 8 == 0 && s[2] % 8 == 0;
            assertTrue(backend.name().equals("cuda") && !must, backend.describe() + " has no such product at " + Arrays.toString(s));
            all.add(Arrays.toString(s));
        }
        return absent;
    }

    private static float[] activate(Backend backend, Dtype dtype, float[] x, int[] s, Activation activation) {
        try (DeviceMemory at = upload(backend, Half.of(dtype).bytes(x))) {
            backend.biasActivationForward(dtype, at.address(), at.address(), 0, activation, s[0], s[2]);
            return at.downloadFloats(dtype, 0, x.length);
        }
    }

    private static float[] slope(Backend backend, Dtype dtype, float[] dy, float[] x, int[] s, Activation activation) {
        try (DeviceMemory gradient = upload(backend, Half.of(dtype).bytes(dy)); DeviceMemory at = upload(backend, Half.of(dtype).bytes(x))) {
            backend.biasActivationBackward(dtype, gradient.address(), 0, 0, gradient.address(), at.address(), 0, activation, s[0], s[2]);
            return gradient.downloadFloats(dtype, 0, dy.length);
        }
    }

    /** GELU by erf, of the CPU's op: good to 1e-6. */
    private static float[] byErf(float[] x, int[] s) {
        try (Backend cpu = Backends.open("cpu", 1); DeviceMemory at = upload(cpu, OpCase.bytes(x))) {
            cpu.biasActivationForward(Dtype.F32, at.address(), at.address(), 0, Activation.GELU, s[0], s[2]);
            return at.downloadFloats(0, x.length);
        }
    }

    private static float[] slopeByErf(float[] dy, float[] x, int[] s) {
        try (Backend cpu = Backends.open("cpu", 1); DeviceMemory gradient = upload(cpu, OpCase.bytes(dy)); DeviceMemory at = upload(cpu, OpCase.bytes(x))) {
            cpu.biasActivationBackward(Dtype.F32, gradient.address(), 0, 0, gradient.address(), at.address(), 0, Activation.GELU, s[0], s[2]);
            return gradient.downloadFloats(0, dy.length);
        }
    }

    private static DeviceMemory poisoned(Backend backend, Half half, int count) {
        return upload(backend, half.bytes(Floats.filled(count + 2 * MARGIN, OUTSIDE)));
    }

    private static long inside(DeviceMemory memory) {
        return memory.address() + 2 * MARGIN;
    }

    /** What stands inside, after a look at what stands round it. */
    private static float[] within(DeviceMemory memory, Dtype dtype, int count) {
        float[] all = memory.downloadFloats(dtype, 0, count + 2 * MARGIN);
        for (int i = 0; i < MARGIN; i++) {
            assertEquals(OUTSIDE, all[i], "before the result");
            assertEquals(OUTSIDE, all[MARGIN + count + i], "after the result");
        }
        return Arrays.copyOfRange(all, MARGIN, MARGIN + count);
    }

    /** At most twice what rounding alone costs; a GPU's library may take tanh.approx, whose 2^-11 is twice float16's rounding. */
    private static void assertNear(String name, Dtype dtype, double[] expected, float[] actual, String what) {
        double[] rounded = Floats.widen(Half.of(dtype).round(RowNorm.floats(expected)));
        double unavoidable = Floats.relativeError(expected, rounded, 0);
        double error = Floats.relativeError(expected, Floats.widen(actual), 0);
        double most = (name.equals("cuda") && dtype == Dtype.F16 ? 4 : 2) * unavoidable + 1e-6;
        assertTrue(error <= most, what + " in " + dtype + ": " + error + ", rounding alone " + unavoidable);
    }

    /**
     * A quarter more at most: tanh's distance from erf, 4.7e-4 at most, beside the rounding that the op's argument has and the product's has not. A
     * GPU's library may take tanh.approx, whose 2^-11 (evenly distributed, 2.8e-4 on the mean) makes that 2.2 times about -2, where 1 + tanh is small.
     */
    private static void assertAsNear(String name, String what, double[] expected, float[] product, float[] op) {
        double ofProduct = Floats.relativeError(expected, Floats.widen(product), 0);
        double ofOp = Floats.relativeError(expected, Floats.widen(op), 0);
        assertTrue(ofProduct > 0 && ofProduct < (name.equals("cuda") ? 2.5 : 1.25) * ofOp, what + ": the product's error " + ofProduct + ", the op's " + ofOp);
    }

    /** GELU's tanh approximation. */
    static double gelu(double x) {
        return 0.5 * x * (1 + Math.tanh(inner(x)));
    }

    /** Its derivative. */
    static double slope(double x) {
        double t = Math.tanh(inner(x));
        return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
    }

    private static double inner(double x) {
        return Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x);
    }

    private static double[] apply(DoubleUnaryOperator function, float[] values) {
        return Arrays.stream(Floats.widen(values)).map(function).toArray();
    }

    private static float[] transposed(float[] matrix, int rows, int columns) {
        float[] result = new float[matrix.length];
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                result[c * rows + r] = matrix[r * columns + c];
            }
        }
        return result;
    }

    private static float[] integers(long seed, int count, int most) {
        int[] values = Floats.integers(seed, count, 2 * most + 1);
        float[] floats = new float[count];
        for (int i = 0; i < count; i++) {
            floats[i] = values[i] - most;
        }
        return floats;
    }
}
