package org.warpbert.text;

/**
 * A text's pieces and where they stand in it.
 *
 * @param ids    vocabulary ids, {@code [n]}
 * @param starts UTF-16 index at which each piece begins, {@code [n]}
 * @param ends   and where it ends, exclusive, {@code [n]}
 */
public record Located(int[] ids, int[] starts, int[] ends) {

    /** Number of pieces. */
    public int length() {
        return ids.length;
    }
}
