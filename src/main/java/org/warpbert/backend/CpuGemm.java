package org.warpbert.backend;

import java.util.ArrayList;
import java.util.List;

/**
 * Products on the backend's own threads, in float32: by kernels of our own where the CPU has AVX-512 or AVX2, else by OpenBLAS
 * (everywhere with {@code WARPBERT_GEMM=openblas} in the environment; {@code avx2} chooses the narrower of our own). Operands of 16 bits are widened first and the result is
 * rounded once, which is what tensor cores do. Leading dimensions are the row lengths: nothing is padded.
 *
 * <p>In bf16 our own round float32 operands to bfloat16 as they read them, and sum in float32; what is stored stays float32.
 */
final class CpuGemm implements Gemm {
    private final Backend backend;
    private final String library;
    private final String core;
    private final int bf16; // 1: operands are rounded
    private final DeviceMemory[] wide = new DeviceMemory[4]; // of 16-bit products: left, right, result and bias in float32
    private final List<DeviceMemory> all = new ArrayList<>();
    private long nanos;

    /** @param bf16 whether float32 operands are rounded to bfloat16: only where {@link #hasBf16} */
    CpuGemm(Backend backend, boolean bf16) {
        this.backend = backend;
        this.bf16 = bf16 ? 1 : 0;
        Native.load();
        boolean openBlas = Native.wb_blas_needed() != 0;
        this.library = openBlas ? "OpenBLAS" : "products";
        if (openBlas) {
            OpenBlas.load();
        }
        this.core = OpenBlas.core() + (bf16 ? ", operands rounded to bf16" : "");
    }

    /** Whether products in bfloat16 can be had here: they are our own, and the CPU has AVX512-BF16. */
    static boolean hasBf16() {
        Native.load();
        return Native.wb_blas_has_bf16() != 0;
    }

    @Override
    public void forward(Dtype dtype, long y, long x, long w, int rows, int in, int out) {
        multiply(dtype, dtype, false, true, rows, out, in, x, w, 0, false, y);
    }

    @Override
    public boolean forwardActivated(Dtype dtype, long y, long product, long x, long w, long bias, Activation activation, int rows, int in, int out) {
        if (!Gemm.activates(dtype, activation, out)) {
            return false;
        }
        if (rows > 0) {
            long wide = sums(dtype, dtype, false, true, rows, out, in, x, w, bias, false, y);
            if (product != 0) {
                backend.cast(product, dtype, wide, Dtype.F32, (long) rows * out);
            }
            backend.biasActivationForward(Dtype.F32, wide, wide, 0, activation, rows, out);
            backend.cast(y, dtype, wide, Dtype.F32, (long) rows * out);
        }
        return true;
    }

    @Override
    public boolean backwardInputActivated(Dtype dtype, long dx, long dy, long w, long product, Activation activation, int rows, int in, int out) {
        if (!Gemm.activates(dtype, activation, in)) {
            return false;
        }
        if (rows > 0) {
            long wide = sums(dtype, dtype, false, false, rows, in, out, dy, w, 0, false, dx);
            backend.biasActivationBackward(Dtype.F32, wide, 0, 0, wide, widened(0, dtype, product, (long) rows * in), 0, activation, rows, in);
            backend.cast(dx, dtype, wide, Dtype.F32, (long) rows * in);
        }
        return true;
    }

    @Override
    public void forwardBias(Dtype dtype, long y, long x, long w, long bias, int rows, int in, int out) {
        multiply(dtype, dtype, false, true, rows, out, in, x, w, bias, false, y);
    }

    @Override
    public boolean pack(Dtype dtype, long w, int in, int out) {
        if (dtype != Dtype.F32 || Native.wb_blas_needed() != 0) {
            return false;
        }
        backend.check("pack[n=" + out + ", k=" + in + "]", Native.wb_blas_pack(backend.context(), backend.threads(), bf16, out, in, w));
        return true;
    }

    @Override
    public void forwardPacked(Dtype dtype, long y, long x, long w, int rows, int in, int out) {
        if (rows == 0) {
            return;
        }
        long start = System.nanoTime();
        int status = Native.wb_blas_sgemm_packed(backend.context(), backend.threads(), bf16, rows, out, in, x, w, y);
        nanos += System.nanoTime() - start;
        check(status, rows, out, in);
    }

    @Override
    public void backwardInput(Dtype dtype, long dx, long dy, long w, boolean add, int rows, int in, int out) {
        multiply(dtype, dtype, false, false, rows, in, out, dy, w, 0, add, dx);
    }

    @Override
    public void backwardWeight(Dtype dtype, long dw, long dy, long x, boolean add, int rows, int in, int out) {
        multiply(dtype, Dtype.F32, true, false, out, in, rows, dy, x, 0, add, dw);
    }

    /** to[m,n] (= , or +=) op(left) op(right) + bias[n], with k terms to a sum; {@code bias} may be 0. */
    private void multiply(Dtype operands, Dtype result, boolean transposeLeft, boolean transposeRight, int m, int n, int k,
            long left, long right, long bias, boolean add, long to) {
        if (m == 0 || n == 0) {
            return;
        }
        long c = sums(operands, result, transposeLeft, transposeRight, m, n, k, left, right, bias, add, to);
        if (c != to) {
            backend.cast(to, result, c, Dtype.F32, (long) m * n);
        }
    }

    /** {@link #multiply} before its rounding: the address of the float32 sums, which are where they belong or in scratch. */
    private long sums(Dtype operands, Dtype result, boolean transposeLeft, boolean transposeRight, int m, int n, int k,
            long left, long right, long bias, boolean add, long to) {
        long a = widened(0, operands, left, (long) m * k);
        long b = widened(1, operands, right, (long) k * n);
        long c = add ? widened(2, result, to, (long) m * n) : result == Dtype.F32 ? to : scratch(2, (long) m * n);
        long start = System.nanoTime();
        int status = Native.wb_blas_sgemm(backend.context(), backend.threads(), bf16, transposeLeft ? 1 : 0,
                transposeRight ? 1 : 0, m, n, k, a, transposeLeft ? m : k, b, transposeRight ? k : n, add ? 1 : 0, c, n);
        nanos += System.nanoTime() - start;
        check(status, m, n, k);
        if (bias != 0) {
            backend.biasActivationForward(Dtype.F32, c, c, widened(3, operands, bias, n), Activation.IDENTITY, m, n);
        }
        return c;
    }

    private void check(int status, int m, int n, int k) {
        if (status != 0) {
            backend.check("gemm[m=" + m + ", n=" + n + ", k=" + k + "]", status);
        }
    }

    /** Address of {@code count} elements in float32: where they are, or a copy. */
    private long widened(int which, Dtype dtype, long address, long count) {
        if (dtype == Dtype.F32) {
            return address;
        }
        long copy = scratch(which, count);
        backend.cast(copy, Dtype.F32, address, dtype, count);
        return copy;
    }

    /**
     * Room for {@code count} floats. It grows to the largest product of the first pass and stays: the plan knows nothing of
     * it, for only simt computes in 16 bits here, which is for tests. What is outgrown stays too: a graph may use it.
     */
    private long scratch(int which, long count) {
        DeviceMemory held = wide[which];
        if (held == null || held.bytes() < count * Float.BYTES) {
            wide[which] = backend.allocate("a product of 16-bit operands", count * Float.BYTES);
            all.add(wide[which]);
        }
        return wide[which].address();
    }

    @Override
    public long nanos() {
        return nanos;
    }

    @Override
    public String describe() {
        return library + " (" + core + ")";
    }

    @Override
    public void close() {
        all.forEach(DeviceMemory::close);
    }
}
