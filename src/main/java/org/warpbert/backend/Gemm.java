package org.warpbert.backend;

/**
 * The matrix products of a linear layer y = x w^T, all row-major: x is [rows, in], w is [out, in] (Hugging Face's
 * layout), y is [rows, out]. Type, layout and epilogue of every GEMM stand here and in its implementations, nowhere
 * else. Implementations allocate nothing per call.
 */
public interface Gemm {
    /** y[rows, out] = x[rows, in] · w[out, in]^T. */
    void forward(long y, long x, long w, int rows, int in, int out);

    /** dx[rows, in] (= , or += where {@code add}) dy[rows, out] · w[out, in]. */
    void backwardInput(long dx, long dy, long w, boolean add, int rows, int in, int out);

    /** dw[out, in] (= , or += where {@code add}) dy[rows, out]^T · x[rows, in]. */
    void backwardWeight(long dw, long dy, long x, boolean add, int rows, int in, int out);

    /** One line: library, version, kernels in use. */
    String describe();
}
