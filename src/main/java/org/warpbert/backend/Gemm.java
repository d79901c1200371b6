package org.warpbert.backend;

/**
 * The matrix products of a linear layer y = x w^T, all row-major: x is [rows, in], w is [out, in] (Hugging Face's
 * layout), y is [rows, out]. Activations, their gradients and w are in {@code dtype}; gradients of weights are float32 in
 * every precision, and sums are float32. A CPU in {@link Precision#BF16} rounds float32 operands as it reads them. Type,
 * layout and epilogue of every GEMM stand here and in its implementations, nowhere else. Implementations allocate nothing
 * per call.
 */
public interface Gemm extends AutoCloseable {
    /** {@code -Dwarpbert.epilogues=false}: no product computes an activation, and GELU is by erf in every type. */
    boolean EPILOGUES = !"false".equals(System.getProperty("warpbert.epilogues"));

    /** y[rows, out] = x[rows, in] · w[out, in]^T. */
    void forward(Dtype dtype, long y, long x, long w, int rows, int in, int out);

    /** y[rows, out] = x[rows, in] · w[out, in]^T + bias[out], which is in {@code dtype} too; rounded once. */
    void forwardBias(Dtype dtype, long y, long x, long w, long bias, int rows, int in, int out);

    /**
     * y[rows, out] = activation(product), product[rows, out] = x[rows, in] · w[out, in]^T + bias[out], of the sums before they are rounded.
     *
     * @param product where it is kept for the backward, or 0
     * @return false where this device has nothing better than a product and an op, and nothing has been done; always where
     *         {@link #activates} says no
     */
    default boolean forwardActivated(Dtype dtype, long y, long product, long x, long w, long bias, Activation activation, int rows, int in, int out) {
        return false;
    }

    /**
     * dx[rows, in] = (dy[rows, out] · w[out, in]) * activation'(product[rows, in]), rounded once: through a layer, and the activation below it.
     *
     * @param product what {@link #forwardActivated} kept of the layer below
     * @return as there
     */
    default boolean backwardInputActivated(Dtype dtype, long dx, long dy, long w, long product, Activation activation, int rows, int in, int out) {
        return false;
    }

    /**
     * What products of a type compute where {@code wanted} comes after them. The libraries' GELU is the tanh approximation. In bfloat16 it may
     * stand for GELU by erf: it is computed of sums that were not rounded, which makes up for its distance from erf, 4.7e-4 at most
     * ({@code ActivatedProductTest}). Float16's rounding is finer, so there it stands for itself alone.
     */
    static Activation activation(Dtype dtype, Activation wanted) {
        return EPILOGUES && dtype == Dtype.BF16 && wanted == Activation.GELU ? Activation.GELU_TANH : wanted;
    }

    /**
     * Whether a product that gives {@code width} columns may compute an activation of them: in 16 bits the tanh GELU, of a multiple of 8
     * columns, which is what cuBLASLt asks of a matrix that it keeps.
     */
    static boolean activates(Dtype dtype, Activation activation, int width) {
        return EPILOGUES && dtype != Dtype.F32 && activation == Activation.GELU_TANH && width % 8 == 0;
    }

    /**
     * Rearranges weights w[out, in] where they stand into what this device reads fastest: from then on {@link #forwardPacked} alone may.
     * It takes no memory that stays.
     *
     * @return false where the device has nothing better than w as it is, which nothing has then been done to
     */
    default boolean pack(Dtype dtype, long w, int in, int out) {
        return false;
    }

    /** {@link #forward} by weights that {@link #pack} has rearranged: the same bits. */
    default void forwardPacked(Dtype dtype, long y, long x, long w, int rows, int in, int out) {
        throw new IllegalStateException("this device packs no weights");
    }

    /** dx[rows, in] (= , or += where {@code add}) dy[rows, out] · w[out, in]. */
    void backwardInput(Dtype dtype, long dx, long dy, long w, boolean add, int rows, int in, int out);

    /** dw[out, in], float32, (= , or += where {@code add}) dy[rows, out]^T · x[rows, in]. */
    void backwardWeight(Dtype dtype, long dw, long dy, long x, boolean add, int rows, int in, int out);

    /** Nanoseconds that this thread has spent in products so far; 0 where they run on without it. */
    long nanos();

    /** One line: library, version, kernels in use. */
    String describe();

    /** Gives back what it holds of its backend, which closes it. */
    @Override
    void close();
}
