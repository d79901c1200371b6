package org.warpbert.backend;

import static org.bytedeco.openblas.global.openblas_nolapack.CblasNoTrans;
import static org.bytedeco.openblas.global.openblas_nolapack.CblasRowMajor;
import static org.bytedeco.openblas.global.openblas_nolapack.CblasTrans;
import static org.bytedeco.openblas.global.openblas_nolapack.blas_set_num_threads;
import static org.bytedeco.openblas.global.openblas_nolapack.cblas_sgemm;

import org.bytedeco.javacpp.FloatPointer;

/** Float32 products by OpenBLAS. Leading dimensions are the row lengths: nothing is strided or padded. */
final class CpuGemm implements Gemm {
    private final View a = new View();
    private final View b = new View();
    private final View c = new View();
    private final boolean shared;

    CpuGemm(int threads) {
        OpenBlas.core(); // loads it
        shared = OpenBlas.shareThreads();
        blas_set_num_threads(threads);
    }

    @Override
    public void forward(long y, long x, long w, int rows, int in, int out) {
        multiply(CblasNoTrans, CblasTrans, rows, out, in, x, in, w, in, 0, y);
    }

    @Override
    public void backwardInput(long dx, long dy, long w, boolean add, int rows, int in, int out) {
        multiply(CblasNoTrans, CblasNoTrans, rows, in, out, dy, out, w, in, add ? 1 : 0, dx);
    }

    @Override
    public void backwardWeight(long dw, long dy, long x, boolean add, int rows, int in, int out) {
        multiply(CblasTrans, CblasNoTrans, out, in, rows, dy, out, x, in, add ? 1 : 0, dw);
    }

    /** to[m,n] = op(left) op(right) + beta * to. */
    private void multiply(int transLeft, int transRight, int m, int n, int k, long left, int leftRow, long right,
            int rightRow, float beta, long to) {
        if (m == 0 || n == 0 || (k == 0 && beta == 1)) {
            return;
        }
        cblas_sgemm(CblasRowMajor, transLeft, transRight, m, n, k, 1, a.at(left), leftRow, b.at(right), rightRow, beta,
                c.at(to), n);
    }

    @Override
    public String describe() {
        return "OpenBLAS (" + OpenBlas.core() + (shared ? ", one thread pool)" : ", its own threads)");
    }

    @Override
    public void close() {
        a.at(0);
        b.at(0);
        c.at(0);
    }

    /** A pointer that is moved, so that a product allocates nothing. */
    private static final class View extends FloatPointer {
        View() {
            super((org.bytedeco.javacpp.Pointer) null);
        }

        View at(long newAddress) {
            address = newAddress;
            return this;
        }
    }
}
