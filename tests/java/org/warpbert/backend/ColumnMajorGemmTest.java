package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.warpbert.backend.ColumnMajorGemm.Matrix;
import org.warpbert.backend.ColumnMajorGemm.Product;

/** What a column-major library is told gives the row-major products that Gemm promises; and what its algorithms are kept by. */
class ColumnMajorGemmTest {
    private static final int[][] SIZES = {{1, 1, 1}, {2, 3, 5}, {7, 1, 4}, {3, 31, 33}, {33, 32, 31}, {97, 5, 2}}; // rows, in, out

    @Test
    void columnMajorProductsAreTheRowMajorOnes() {
        for (int[] s : SIZES) {
            for (Product product : Product.values()) {
                ColumnMajorGemm gemm = ColumnMajorGemm.of(product, Dtype.BF16, s[0], s[1], s[2]);
                int[] x = integers(1, s[0] * s[1]);
                int[] w = integers(2, s[2] * s[1]);
                int[] dy = integers(3, s[0] * s[2]);
                int[] left = product == Product.BACKWARD_WEIGHT ? x : w; // as CudaGemm gives them
                int[] right = product == Product.FORWARD ? x : dy;
                String what = product + " [" + s[0] + ", " + s[1] + ", " + s[2] + "]";
                assertEquals(left.length, gemm.a().rows() * gemm.a().columns(), what);
                assertEquals(right.length, gemm.b().rows() * gemm.b().columns(), what);
                assertArrayEquals(switch (product) {
                    case FORWARD -> rowMajor(s[0], s[2], s[1], (r, o, i) -> x[r * s[1] + i] * w[o * s[1] + i]);
                    case BACKWARD_INPUT -> rowMajor(s[0], s[1], s[2], (r, i, o) -> dy[r * s[2] + o] * w[o * s[1] + i]);
                    case BACKWARD_WEIGHT -> rowMajor(s[2], s[1], s[0], (o, i, r) -> dy[r * s[2] + o] * x[r * s[1] + i]);
                }, columnMajor(gemm, left, right), what);
            }
        }
    }

    private interface Term {
        int of(int row, int column, int summed);
    }

    private static int[] rowMajor(int rows, int columns, int summed, Term term) {
        int[] result = new int[rows * columns];
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                for (int k = 0; k < summed; k++) {
                    result[r * columns + c] += term.of(r, c, k);
                }
            }
        }
        return result;
    }

    /** BLAS's definition: element (row, column) of a matrix stands at row + column * leading dimension. */
    private static int[] columnMajor(ColumnMajorGemm g, int[] a, int[] b) {
        int[] d = new int[g.d().rows() * g.d().columns()];
        assertEquals(g.m() * g.n(), d.length);
        for (int i = 0; i < g.m(); i++) {
            for (int j = 0; j < g.n(); j++) {
                for (int l = 0; l < g.k(); l++) {
                    d[i + j * g.d().rows()] += element(a, g.a(), g.transposeA(), i, l) * element(b, g.b(), g.transposeB(), l, j);
                }
            }
        }
        return d;
    }

    private static int element(int[] values, Matrix matrix, boolean transposed, int row, int column) {
        return transposed ? values[column + row * matrix.rows()] : values[row + column * matrix.rows()];
    }

    private static int[] integers(long seed, int count) {
        return new SplittableRandom(seed).ints(count, -8, 9).toArray();
    }

    @Test
    void weightGradientsAreFloat32InEveryType() {
        for (Dtype dtype : Dtype.values()) {
            for (Product product : Product.values()) {
                ColumnMajorGemm gemm = ColumnMajorGemm.of(product, dtype, 2, 3, 4);
                assertEquals(List.of(dtype, dtype), List.of(gemm.a().dtype(), gemm.b().dtype()));
                assertEquals(product == Product.BACKWARD_WEIGHT ? Dtype.F32 : dtype, gemm.d().dtype());
            }
        }
    }

    @Test
    void keysDifferInAllThatAnAlgorithmDependsOnAndInNothingElse() {
        GemmKey key = new GemmKey();
        List<GemmKey> all = new ArrayList<>();
        for (Product product : Product.values()) {
            for (Dtype dtype : Dtype.values()) {
                for (int[] s : new int[][] {{2, 3, 4}, {5, 3, 4}, {2, 5, 4}, {2, 3, 5}, {3, 2, 4}}) {
                    for (long[] at : new long[][] {{512, 512, 512}, {544, 512, 512}, {512, 514, 512}, {512, 512, 516}}) {
                        all.add(key.set(product, Epilogue.NONE, dtype, s[0], s[1], s[2], 0, 0, at[0], at[1], at[2]).copy());
                    }
                }
            }
        }
        for (Epilogue epilogue : new Epilogue[] {Epilogue.BIAS, Epilogue.GELU, Epilogue.KEEPING_GELU}) {
            for (long bias : new long[] {512, 520}) {
                for (long kept : epilogue == Epilogue.KEEPING_GELU ? new long[] {512, 528} : new long[1]) {
                    all.add(key.set(Product.FORWARD, epilogue, Dtype.F32, 2, 3, 4, bias, kept, 512, 512, 512).copy());
                }
            }
        }
        Set<GemmKey> distinct = new HashSet<>(all);
        assertEquals(3 * 3 * 5 * 4 + 2 + 2 + 4, distinct.size());
        // addresses count by their alignment: the same key far away, another one half as aligned
        GemmKey first = all.get(0);
        assertEquals(first, key.set(Product.FORWARD, Epilogue.NONE, Dtype.F32, 2, 3, 4, 0, 0, 1 << 20, 256, 3 << 8));
        assertEquals(first.hashCode(), key.hashCode());
        assertNotEquals(first, key.set(Product.FORWARD, Epilogue.NONE, Dtype.F32, 2, 3, 4, 0, 0, 1 << 20, 256 + 128, 3 << 8));
        assertEquals(List.of(128, 256, 4), List.of(key.alignA(), key.alignB(), key.set(Product.FORWARD, Epilogue.NONE, Dtype.F32, 2, 3, 4, 0, 0, 12, 512, 512).alignD()));
        assertEquals(first, first.copy());
        assertEquals("FORWARD[f32, rows=2, in=3, out=4]", first.toString());
        assertEquals("FORWARD with bias and gelu, keeping its input[f32, rows=2, in=3, out=4]", all.get(all.size() - 1).toString());
    }
}
