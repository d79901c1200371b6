package org.warpbert.backend;

import org.warpbert.WarpBertException;

/** Float32 products by OpenBLAS, on the backend's own threads. Leading dimensions are the row lengths: nothing is padded. */
final class CpuGemm implements Gemm {
    private final Backend backend;
    private final String core;
    private long nanos;

    CpuGemm(Backend backend) {
        this.backend = backend;
        OpenBlas.load();
        this.core = OpenBlas.core();
    }

    @Override
    public void forward(Dtype dtype, long y, long x, long w, int rows, int in, int out) {
        requireF32(dtype);
        multiply(false, true, rows, out, in, x, in, w, in, 0, y);
    }

    @Override
    public void forwardBias(Dtype dtype, long y, long x, long w, long bias, int rows, int in, int out) {
        forward(dtype, y, x, w, rows, in, out);
        backend.biasActivationForward(dtype, y, y, bias, Activation.IDENTITY, rows, out);
    }

    @Override
    public void backwardInput(Dtype dtype, long dx, long dy, long w, boolean add, int rows, int in, int out) {
        requireF32(dtype);
        multiply(false, false, rows, in, out, dy, out, w, in, add ? 1 : 0, dx);
    }

    @Override
    public void backwardWeight(Dtype dtype, long dw, long dy, long x, boolean add, int rows, int in, int out) {
        requireF32(dtype);
        multiply(true, false, out, in, rows, dy, out, x, in, add ? 1 : 0, dw);
    }

    private void requireF32(Dtype dtype) {
        if (dtype != Dtype.F32) {
            throw new WarpBertException("the " + backend.name() + " backend multiplies in F32 only, not " + dtype);
        }
    }

    /** to[m,n] = op(left) op(right) + beta * to. */
    private void multiply(boolean transposeLeft, boolean transposeRight, int m, int n, int k, long left, int leftRow,
            long right, int rightRow, float beta, long to) {
        if (m == 0 || n == 0) {
            return;
        }
        long start = System.nanoTime();
        int status = Native.wb_blas_sgemm(backend.context(), backend.threads(), transposeLeft ? 1 : 0, transposeRight ? 1 : 0,
                m, n, k, left, leftRow, right, rightRow, beta, to, n);
        nanos += System.nanoTime() - start;
        if (status != 0) {
            backend.check("gemm[m=" + m + ", n=" + n + ", k=" + k + "]", status);
        }
    }

    @Override
    public long nanos() {
        return nanos;
    }

    @Override
    public String describe() {
        return "OpenBLAS (" + core + ")";
    }

    @Override
    public void close() {
        // OpenBLAS is the process's
    }
}
