package org.warpbert.text;

import java.util.Arrays;
import org.warpbert.WarpBertException;

/**
 * The order in which an epoch visits its examples, and random splits: a function of the seed alone, the same on every
 * platform and Java version, so that a resumed run sees the rows that the uninterrupted one would have.
 *
 * <p>The algorithm: {@code h} is the first long of {@code SplittableRandom(seed)}, {@code r} is
 * {@code SplittableRandom(h + epoch)}; then Fisher–Yates from the last index down, {@code i = n - 1 … 1}, swapping with
 * {@code j = (r.nextLong() >>> 33) * (i + 1) >>> 31}. Hashing the seed first keeps the streams of neighbouring seeds
 * apart; the product in place of {@code nextInt(bound)} leans on nothing that a Java release may change.
 */
public final class BatchOrder {
    /** Splits draw from the stream of this epoch, which no training epoch uses. */
    private static final int SPLIT_EPOCH = -1;

    private BatchOrder() {
    }

    /**
     * The rows of one epoch.
     *
     * @param n       number of rows
     * @param epoch   0 for the first
     * @param shuffle false: file order
     * @return a permutation of 0 … n - 1
     */
    public static int[] order(int n, long seed, int epoch, boolean shuffle) {
        int[] order = new int[n];
        Arrays.setAll(order, i -> i);
        if (shuffle) {
            new Draw(seed, epoch).shuffle(order);
        }
        return order;
    }

    /**
     * Row numbers of a random split, each in file order.
     *
     * @param train rows to learn from, ascending
     * @param dev   rows to judge by, ascending
     */
    public record Split(int[] train, int[] dev) {
    }

    /**
     * Sets aside {@code round(n * fraction)} random rows, though at least one, and leaves at least one.
     *
     * @throws WarpBertException if the fraction is not between 0 and 1 or there are fewer than two rows
     */
    public static Split split(int n, double fraction, long seed) {
        if (!(fraction > 0 && fraction < 1)) {
            throw new WarpBertException("The dev split must lie between 0 and 1, not " + fraction + "; 0.1 is usual.");
        }
        if (n < 2) {
            throw new WarpBertException("A data set of " + n + " rows cannot be split into train and dev; "
                    + "give a dev file or more rows.");
        }
        int devSize = (int) Math.max(1, Math.min(n - 1L, Math.round(n * fraction)));
        int[] order = order(n, seed, SPLIT_EPOCH, true);
        int[] dev = Arrays.copyOfRange(order, 0, devSize);
        int[] train = Arrays.copyOfRange(order, devSize, n);
        Arrays.sort(dev);
        Arrays.sort(train);
        return new Split(train, dev);
    }
}
