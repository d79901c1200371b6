package org.warpbert.backend;

/** Element types of activations and weights; the ordinals are {@code wb_dtype}'s numbers. */
public enum Dtype {
    F32(4),
    F16(2),
    BF16(2);

    private final int bytes;

    Dtype(int bytes) {
        this.bytes = bytes;
    }

    /** Size of one element. */
    public int bytes() {
        return bytes;
    }
}
