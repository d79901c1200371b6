package org.warpbert.backend;

/**
 * A product of {@link Gemm} in the words of a column-major library: d[m, n] = op(a)[m, k] · op(b)[k, n] + beta · d. This is
 * the one place that knows types, layouts and operands; nothing is copied or transposed for it: a row-major [r, c] is a
 * column-major [c, r] of leading dimension c, so each product is computed as its transpose, with its operands swapped.
 *
 * <pre>
 *   FORWARD          y  = x w^T    y^T  = w x^T     a = w [in, out] transposed, b = x  [in, rows]              m out, n rows, k in
 *   BACKWARD_INPUT   dx = dy w     dx^T = w^T dy^T  a = w [in, out],            b = dy [out, rows]             m in,  n rows, k out
 *   BACKWARD_WEIGHT  dw = dy^T x   dw^T = x^T dy    a = x [in, rows],           b = dy [out, rows] transposed  m in,  n out,  k rows
 * </pre>
 *
 * @param a as it lies in memory, like {@code b} and {@code d}
 */
record ColumnMajorGemm(int m, int n, int k, Matrix a, boolean transposeA, Matrix b, boolean transposeB, Matrix d) {

    enum Product { FORWARD, BACKWARD_INPUT, BACKWARD_WEIGHT }

    /** Column-major, without gaps: the leading dimension is {@code rows}. */
    record Matrix(Dtype dtype, int rows, int columns) {}

    /** The product of a layer with w [out, in] over {@code rows} rows, its activations in {@code dtype}. */
    static ColumnMajorGemm of(Product product, Dtype dtype, int rows, int in, int out) {
        Matrix x = new Matrix(dtype, in, rows); // x or dx
        Matrix w = new Matrix(dtype, in, out);
        Matrix y = new Matrix(dtype, out, rows); // y or dy
        return switch (product) {
            case FORWARD -> new ColumnMajorGemm(out, rows, in, w, true, x, false, y);
            case BACKWARD_INPUT -> new ColumnMajorGemm(in, rows, out, w, false, y, false, x);
            case BACKWARD_WEIGHT -> new ColumnMajorGemm(in, out, rows, x, false, y, true, new Matrix(Dtype.F32, in, out));
        };
    }
}
