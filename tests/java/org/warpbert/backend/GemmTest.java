package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.warpbert.WarpBertException;

/**
 * The three products of a linear layer. Integers of at most 8 make every product and sum exact, so equality is asked; in 16
 * bits too, where the one rounding is of the result.
 */
class GemmTest {
    /** rows, in, out: round the parts that threads take (multiples of 48) and below the size that threads are woken for. */
    private static final int[][] SIZES = {{1, 1, 1}, {31, 33, 32}, {1, 768, 97}, {97, 31, 1025}, {47, 96, 145}, {333, 96, 97},
            {130, 768, 48}, {49, 64, 768},
            {71, 801, 50}, {1537, 9, 3073}}; // and beyond a block's depth, height and width
    private static final int MARGIN = 64;

    /** The CPU that rounds operands itself, where it can. */
    private static final String ROUNDING = "cpu in bf16";

    static List<String> backends() {
        List<String> all = new ArrayList<>(TestBackends.available());
        if (all.contains("cpu") && CpuGemm.hasBf16()) {
            all.add(ROUNDING);
        }
        return all;
    }

    private static Backend open(String name, int threads) {
        return name.equals(ROUNDING) ? CpuBf16.open(threads) : Backends.open(name, threads);
    }

    /** Types that activations may have. */
    private static Set<Dtype> types(Backend backend) {
        return backend.precisions().stream().map(precision -> precision.dtype(backend.name())).collect(Collectors.toCollection(() -> EnumSet.noneOf(Dtype.class)));
    }

    /** What a product makes of an operand before it multiplies. */
    private static float[] operand(String name, float[] values) {
        return name.equals(ROUNDING) ? Half.BF16.round(values) : values;
    }

    enum Product { FORWARD, BACKWARD_INPUT, BACKWARD_WEIGHT }

    @ParameterizedTest
    @MethodSource("backends")
    void integersComeOutExactly(String name) {
        for (int threads : new int[] {1, 2, 5}) {
            try (Backend backend = open(name, threads)) {
                for (int[] s : SIZES) {
                    for (Product product : Product.values()) {
                        float[] left = integers(1, s[0] * (product == Product.FORWARD ? s[1] : s[2]));
                        float[] right = integers(2, product == Product.BACKWARD_WEIGHT ? s[0] * s[1] : s[2] * s[1]);
                        float[] before = integers(3, size(product, s));
                        float[] expected = multiply(product, s, left, right);
                        assertArrayEquals(expected, run(backend, product, s, left, right, null), product + " on " + threads + " threads");
                        assertArrayEquals(Floats.plus(expected, 1, before), run(backend, product, s, left, right, before), product + ", added");
                    }
                }
            }
        }
    }

    /** A batch may hold no row for a layer, such as no masked word: its weights' gradient is then 0, or what it was. */
    @ParameterizedTest
    @MethodSource("backends")
    void aSumOverNoRowsIsZero(String name) {
        int[] s = {0, 33, 47};
        float[] before = integers(3, size(Product.BACKWARD_WEIGHT, s));
        try (Backend backend = open(name, 2)) {
            assertArrayEquals(new float[before.length], run(backend, Product.BACKWARD_WEIGHT, s, new float[0], new float[0], null));
            assertArrayEquals(before, run(backend, Product.BACKWARD_WEIGHT, s, new float[0], new float[0], before));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void integersOfSixteenBitsComeOutRoundedOnce(String name) {
        for (int threads : new int[] {1, 2}) {
            try (Backend backend = open(name, threads)) {
                for (Dtype dtype : new Dtype[] {Dtype.F16, Dtype.BF16}) {
                    if (!types(backend).contains(dtype)) {
                        continue;
                    }
                    for (int[] s : SIZES) {
                        for (Product product : Product.values()) {
                            boolean weights = product == Product.BACKWARD_WEIGHT; // whose gradients are float32
                            float[] left = integers(1, s[0] * (product == Product.FORWARD ? s[1] : s[2]));
                            float[] right = integers(2, weights ? s[0] * s[1] : s[2] * s[1]);
                            float[] before = integers(3, size(product, s));
                            float[] exact = multiply(product, s, left, right);
                            float[] sum = Floats.plus(exact, 1, before);
                            assertArrayEquals(weights ? exact : Half.of(dtype).round(exact), runHalf(backend, dtype, product, s, left, right, null), product + " in " + dtype);
                            if (product != Product.FORWARD) {
                                assertArrayEquals(weights ? sum : Half.of(dtype).round(sum), runHalf(backend, dtype, product, s, left, right, before), product + " in " + dtype + ", added");
                            }
                        }
                    }
                }
            }
        }
    }

    /** Integers of which only the sum with the bias is rounded: rounded before, a product of 3,001 in bfloat16 would lose the bias. */
    @ParameterizedTest
    @MethodSource("backends")
    void aBiasIsAddedBeforeTheRounding(String name) {
        try (Backend backend = open(name, 2)) {
            for (Dtype dtype : types(backend)) {
                for (int[] s : SIZES) {
                    float[] x = integers(1, s[0] * s[1]);
                    float[] w = integers(2, s[2] * s[1]);
                    float[] bias = integers(3, s[2]);
                    float[] y = multiply(Product.FORWARD, s, x, w);
                    for (int i = 0; i < y.length; i++) {
                        y[i] += bias[i % s[2]];
                    }
                    boolean wide = dtype == Dtype.F32;
                    try (DeviceMemory dx = upload(backend, wide ? OpCase.bytes(x) : Half.of(dtype).bytes(x));
                            DeviceMemory dw = upload(backend, wide ? OpCase.bytes(w) : Half.of(dtype).bytes(w));
                            DeviceMemory db = upload(backend, wide ? OpCase.bytes(bias) : Half.of(dtype).bytes(bias));
                            DeviceMemory dy = backend.allocate("y", y.length * dtype.bytes())) {
                        backend.gemm().forwardBias(dtype, dy.address(), dx.address(), dw.address(), db.address(), s[0], s[1], s[2]);
                        float[] actual = dy.downloadFloats(dtype, 0, y.length);
                        float[] expected = wide ? y : Half.of(dtype).round(y);
                        if (!wide && !Arrays.equals(expected, actual) && backend.describe().contains("without an epilogue for")) {
                            expected = roundedTwice(dtype, multiply(Product.FORWARD, s, x, w), y); // a GPU's library may have none for single or odd rows
                        }
                        assertArrayEquals(expected, actual, dtype + Arrays.toString(s));
                    }
                }
            }
        }
    }

    /** What comes of products that are rounded, the rest of sums added, and rounded again. */
    private static float[] roundedTwice(Dtype dtype, float[] products, float[] sums) {
        float[] result = Half.of(dtype).round(products);
        for (int i = 0; i < result.length; i++) {
            result[i] += sums[i] - products[i];
        }
        return Half.of(dtype).round(result);
    }

    /** At most twice the error of rounding operands and result alone. Sums of float32 are exact beside those roundings. */
    @ParameterizedTest
    @MethodSource("backends")
    void sixteenBitsLoseNoMoreThanRounding(String name) {
        try (Backend backend = open(name, 2)) {
            for (Dtype dtype : new Dtype[] {Dtype.F16, Dtype.BF16}) {
                if (!types(backend).contains(dtype)) {
                    continue;
                }
                Half half = Half.of(dtype);
                for (int[] s : SIZES) {
                    for (Product product : Product.values()) {
                        float[] left = Floats.normal(1, s[0] * (product == Product.FORWARD ? s[1] : s[2]));
                        float[] right = Floats.normal(2, product == Product.BACKWARD_WEIGHT ? s[0] * s[1] : s[2] * s[1]);
                        float[] reference = multiply(product, s, half.round(left), half.round(right));
                        double[] exact = Floats.widen(multiply(product, s, left, right));
                        double unavoidable = Floats.relativeError(exact, Floats.widen(product == Product.BACKWARD_WEIGHT ? reference : half.round(reference)), 0);
                        double error = Floats.relativeError(exact, Floats.widen(runHalf(backend, dtype, product, s, left, right, null)), 0);
                        assertTrue(error > 0 && error <= 2 * unavoidable, product + " in " + dtype + ": " + error + ", a reference has " + unavoidable);
                    }
                }
            }
        }
    }

    /** As {@link #run}, of operands rounded to a type. */
    private static float[] runHalf(Backend backend, Dtype dtype, Product product, int[] s, float[] left, float[] right, float[] before) {
        Half half = Half.of(dtype);
        boolean weights = product == Product.BACKWARD_WEIGHT;
        int n = size(product, s);
        float[] surrounded = Floats.filled(n + 2 * MARGIN, before == null ? Float.NaN : 7);
        if (before != null) {
            System.arraycopy(before, 0, surrounded, MARGIN, n);
        }
        int each = weights ? Float.BYTES : Short.BYTES;
        try (DeviceMemory a = upload(backend, half.bytes(left)); DeviceMemory b = upload(backend, half.bytes(right));
                DeviceMemory c = upload(backend, weights ? OpCase.bytes(surrounded) : half.bytes(surrounded))) {
            long to = c.address() + (long) each * MARGIN;
            switch (product) {
                case FORWARD -> backend.gemm().forward(dtype, to, a.address(), b.address(), s[0], s[1], s[2]);
                case BACKWARD_INPUT -> backend.gemm().backwardInput(dtype, to, a.address(), b.address(), before != null, s[0], s[1], s[2]);
                case BACKWARD_WEIGHT -> backend.gemm().backwardWeight(dtype, to, a.address(), b.address(), before != null, s[0], s[1], s[2]);
            }
            float[] after = c.downloadFloats(weights ? Dtype.F32 : dtype, 0, surrounded.length);
            for (int i = 0; i < MARGIN; i++) {
                assertEquals(surrounded[0], after[i], "before the result");
                assertEquals(surrounded[0], after[MARGIN + n + i], "after the result");
            }
            return Arrays.copyOfRange(after, MARGIN, MARGIN + n);
        }
    }

    static DeviceMemory upload(Backend backend, byte[] bytes) {
        DeviceMemory memory = backend.allocate("an operand", bytes.length);
        memory.upload(0, ByteBuffer.allocateDirect(bytes.length).put(bytes).flip());
        return memory;
    }

    /**
     * The same bits from run to run. Our own products give them on any number of threads too. On another number of threads
     * OpenBLAS's parts are others, and it takes another kernel for a small part than for a large one (seen: [97, 31, 1025] on
     * one thread and two): there it is held to rounding.
     */
    @ParameterizedTest
    @MethodSource("backends")
    void givesTheSameBitsAgainAndTheSameNumbersOnOtherThreads(String name) {
        for (int[] s : SIZES) {
            for (Product product : Product.values()) {
                float[] left = Floats.normal(1, s[0] * (product == Product.FORWARD ? s[1] : s[2]));
                float[] right = Floats.normal(2, product == Product.BACKWARD_WEIGHT ? s[0] * s[1] : s[2] * s[1]);
                double[] exact = Floats.widen(multiply(product, s, operand(name, left), operand(name, right))); // but for float32's roundings
                float[] first = null;
                for (int threads : new int[] {1, 2, 3}) {
                    String what = product + " [" + s[0] + ", " + s[1] + ", " + s[2] + "] on " + threads + " threads";
                    try (Backend backend = open(name, threads); Backend again = open(name, threads)) {
                        float[] result = run(backend, product, s, left, right, null);
                        assertArrayEquals(result, run(again, product, s, left, right, null), what);
                        if (backend.gemm().describe().contains("own") && first != null) {
                            assertArrayEquals(first, result, what);
                        }
                        first = result;
                        double error = Floats.relativeError(exact, Floats.widen(result), 0);
                        assertTrue(error <= 2e-6, what + ": " + error + ", two float32 sums of up to 1,025 terms in two orders");
                    }
                }
            }
        }
    }

    /** Rearranged where they stand, weights give the same bits; where a device rearranges nothing, they stay. */
    @ParameterizedTest
    @MethodSource("backends")
    void packedWeightsGiveTheSameBits(String name) {
        for (int[] s : SIZES) {
            float[] x = Floats.normal(1, s[0] * s[1]);
            float[] w = Floats.normal(2, s[2] * s[1]);
            float[] expected = null;
            for (int threads : new int[] {1, 2, 3}) {
                String what = "[" + s[0] + ", " + s[1] + ", " + s[2] + "] on " + threads + " threads";
                try (Backend backend = open(name, threads); DeviceMemory left = backend.allocate("x", 4L * x.length);
                        DeviceMemory weights = backend.allocate("w", 4L * (w.length + 2 * MARGIN)); DeviceMemory result = backend.allocate("y", 4L * s[0] * s[2])) {
                    Gemm gemm = backend.gemm();
                    left.upload(x);
                    float[] surrounded = Floats.filled(w.length + 2 * MARGIN, 7);
                    System.arraycopy(w, 0, surrounded, MARGIN, w.length);
                    weights.upload(surrounded);
                    long at = weights.address() + 4 * MARGIN;
                    gemm.forward(Dtype.F32, result.address(), left.address(), at, s[0], s[1], s[2]);
                    expected = expected == null ? result.downloadFloats(0, s[0] * s[2]) : expected;
                    assertFalse(gemm.pack(Dtype.BF16, at, s[1], s[2]), "16 bits");
                    if (!gemm.pack(Dtype.F32, at, s[1], s[2])) {
                        assertFalse(gemm.describe().contains("own"), "our own products pack");
                        assertArrayEquals(surrounded, weights.downloadFloats(0, surrounded.length), what);
                        continue;
                    }
                    assertArrayEquals(Floats.filled(MARGIN, 7), weights.downloadFloats(0, MARGIN), "before the weights");
                    assertArrayEquals(Floats.filled(MARGIN, 7), weights.downloadFloats(MARGIN + w.length, MARGIN), "after the weights");
                    result.upload(Floats.filled(s[0] * s[2], Float.NaN));
                    gemm.forwardPacked(Dtype.F32, result.address(), left.address(), at, s[0], s[1], s[2]);
                    assertArrayEquals(expected, result.downloadFloats(0, s[0] * s[2]), what);
                }
            }
        }
    }

    /** What narrower machines multiply by, and have no bf16 with; on others, a process of its own does. */
    @ParameterizedTest
    @CsvSource(delimiter = ';', value = {"openblas; OpenBLAS (", "avx2; products (own AVX2)"})
    void othersInsteadOfTheWidest(String asked, String described) throws IOException, InterruptedException {
        assumeTrue(asked.equals("openblas") || Files.readString(Path.of("/proc/cpuinfo")).contains(" avx2 "), "this CPU has no AVX2");
        ProcessBuilder builder = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx1g",
                "-Dorg.bytedeco.javacpp.maxphysicalbytes=0", "-cp", OtherJvm.classes(),
                GemmTest.class.getName()).redirectErrorStream(true);
        builder.environment().put("WARPBERT_GEMM", asked);
        Process process = builder.start();
        String said = new String(process.getInputStream().readAllBytes());
        assertEquals(0, process.waitFor(), said);
        assertTrue(said.contains("by " + described), said);
        assertTrue(said.contains("the precision bf16 (--precision) is not to be had on cpu, which computes in f32: bf16 takes a CPU with AVX512-BF16"), said);
    }

    public static void main(String[] args) {
        try (Backend backend = Backends.open("cpu", 2)) {
            System.out.println("by " + backend.gemm().describe());
        }
        System.out.println(assertThrows(WarpBertException.class, () -> Backends.open("cpu", 2, Precision.BF16)).getMessage());
        new GemmTest().integersComeOutExactly("cpu");
        new GemmTest().packedWeightsGiveTheSameBits("cpu");
        new GemmTest().givesTheSameBitsAgainAndTheSameNumbersOnOtherThreads("cpu");
    }

    private static int size(Product product, int[] s) {
        return switch (product) {
            case FORWARD -> s[0] * s[2];
            case BACKWARD_INPUT -> s[0] * s[1];
            case BACKWARD_WEIGHT -> s[2] * s[1];
        };
    }

    /** The result between margins that must stay; NaN is what it holds where it is not added to. */
    private static float[] run(Backend backend, Product product, int[] s, float[] left, float[] right, float[] before) {
        int n = size(product, s);
        float[] surrounded = Floats.filled(n + 2 * MARGIN, before == null ? Float.NaN : 7);
        if (before != null) {
            System.arraycopy(before, 0, surrounded, MARGIN, n);
        }
        try (DeviceMemory a = backend.allocate("left", 4L * left.length); DeviceMemory b = backend.allocate("right", 4L * right.length);
                DeviceMemory c = backend.allocate("result", 4L * surrounded.length)) {
            a.upload(left);
            b.upload(right);
            c.upload(surrounded);
            long to = c.address() + 4 * MARGIN;
            Gemm gemm = backend.gemm();
            switch (product) {
                case FORWARD -> {
                    if (before != null) { // a forward is not added to: it overwrites
                        gemm.forward(Dtype.F32, to, a.address(), b.address(), s[0], s[1], s[2]);
                        return Floats.plus(c.downloadFloats(MARGIN, n), 1, before);
                    }
                    gemm.forward(Dtype.F32, to, a.address(), b.address(), s[0], s[1], s[2]);
                }
                case BACKWARD_INPUT -> gemm.backwardInput(Dtype.F32, to, a.address(), b.address(), before != null, s[0], s[1], s[2]);
                case BACKWARD_WEIGHT -> gemm.backwardWeight(Dtype.F32, to, a.address(), b.address(), before != null, s[0], s[1], s[2]);
            }
            assertArrayEquals(Floats.filled(MARGIN, surrounded[0]), c.downloadFloats(0, MARGIN), "before the result");
            assertArrayEquals(Floats.filled(MARGIN, surrounded[0]), c.downloadFloats(MARGIN + n, MARGIN), "after the result");
            assertEquals(0, Floats.norm(Floats.plus(left, -1, a.downloadFloats(0, left.length))), "left");
            assertEquals(0, Floats.norm(Floats.plus(right, -1, b.downloadFloats(0, right.length))), "right");
            return c.downloadFloats(MARGIN, n);
        }
    }

    /** The definitions: x w^T, dy w, dy^T x. */
    static float[] multiply(Product product, int[] s, float[] left, float[] right) {
        float[] result = new float[size(product, s)];
        for (int r = 0; r < s[0]; r++) {
            for (int o = 0; o < s[2]; o++) {
                for (int i = 0; i < s[1]; i++) {
                    switch (product) {
                        case FORWARD -> result[r * s[2] + o] += left[r * s[1] + i] * right[o * s[1] + i];
                        case BACKWARD_INPUT -> result[r * s[1] + i] += left[r * s[2] + o] * right[o * s[1] + i];
                        case BACKWARD_WEIGHT -> result[o * s[1] + i] += left[r * s[2] + o] * right[r * s[1] + i];
                    }
                }
            }
        }
        return result;
    }

    private static float[] integers(long seed, int count) {
        float[] values = new float[count];
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = 0; i < count; i++) {
            values[i] = random.nextInt(-8, 9);
        }
        return values;
    }
}
