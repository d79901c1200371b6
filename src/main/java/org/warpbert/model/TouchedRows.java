package org.warpbert.model;

/**
 * Which words a batch has had: a byte for each row of the word embeddings, which stand first among the gradients. The others'
 * gradient and moments are 0, and cost nothing; see "Touched rows" in warpbert.h.
 *
 * @param address of uint8[rows] on the device, or 0: every row counts
 * @param rows    V, the vocabulary
 * @param width   H, elements of a row
 */
public record TouchedRows(long address, long rows, long width) {
    /** Where every row counts: the word embeddings are frozen, or decode as well, so that their gradient is dense. */
    public static final TouchedRows ALL = new TouchedRows(0, 0, 1);

    /** Elements of the table. */
    public long elements() {
        return rows * width;
    }
}
