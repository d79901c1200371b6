package org.warpbert.backend;

import org.warpbert.backend.ColumnMajorGemm.Product;

/**
 * What an algorithm for a product is chosen by. The addresses count by their alignment alone: an algorithm may ask for
 * more of it than another tensor of the same shape has. One key is filled again for every look-up, so that a look-up
 * makes no object; a {@link #copy} goes into the map.
 */
final class GemmKey {
    private static final int MOST_ALIGNED = 256;

    private Product product;
    private Dtype dtype;
    private int rows;
    private int in;
    private int out;
    private Epilogue epilogue;
    private int alignBias; // 0: there is none
    private int alignKept; // 0: nothing is
    private int alignA;
    private int alignB;
    private int alignD;

    /**
     * @param bias an address, 0: the epilogue adds none
     * @param kept an address, 0: the epilogue neither keeps nor reads another matrix
     */
    GemmKey set(Product newProduct, Epilogue newEpilogue, Dtype newDtype, int newRows, int newIn, int newOut, long bias, long kept, long d, long a, long b) {
        product = newProduct;
        epilogue = newEpilogue;
        dtype = newDtype;
        rows = newRows;
        in = newIn;
        out = newOut;
        alignBias = bias == 0 ? 0 : alignment(bias);
        alignKept = kept == 0 ? 0 : alignment(kept);
        alignD = alignment(d);
        alignA = alignment(a);
        alignB = alignment(b);
        return this;
    }

    GemmKey copy() {
        GemmKey copy = new GemmKey();
        copy.product = product;
        copy.epilogue = epilogue;
        copy.dtype = dtype;
        copy.rows = rows;
        copy.in = in;
        copy.out = out;
        copy.alignBias = alignBias;
        copy.alignKept = alignKept;
        copy.alignA = alignA;
        copy.alignB = alignB;
        copy.alignD = alignD;
        return copy;
    }

    ColumnMajorGemm gemm() {
        return ColumnMajorGemm.of(product, dtype, rows, in, out);
    }

    Epilogue epilogue() {
        return epilogue;
    }

    int alignA() {
        return alignA;
    }

    int alignB() {
        return alignB;
    }

    int alignD() {
        return alignD;
    }

    /** The largest power of two that divides an address, at most 256, what whole allocations have. */
    private static int alignment(long address) {
        return (int) Math.min(MOST_ALIGNED, Long.lowestOneBit(address | MOST_ALIGNED));
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof GemmKey key && product == key.product && epilogue == key.epilogue && dtype == key.dtype && rows == key.rows
                && in == key.in && out == key.out && alignBias == key.alignBias && alignKept == key.alignKept && alignA == key.alignA
                && alignB == key.alignB && alignD == key.alignD;
    }

    @Override
    public int hashCode() {
        int hash = (product.ordinal() * 8 + epilogue.ordinal()) * 4 + dtype.ordinal();
        hash = 31 * hash + rows;
        hash = 31 * hash + in;
        hash = 31 * hash + out;
        hash = 31 * hash + alignBias;
        hash = 31 * hash + alignKept;
        return ((hash * 31 + alignA) * 31 + alignB) * 31 + alignD;
    }

    @Override
    public String toString() {
        return product + epilogue.words() + "[" + dtype + ", rows=" + rows + ", in=" + in + ", out=" + out + "]";
    }
}
