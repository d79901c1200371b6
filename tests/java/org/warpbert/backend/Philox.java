package org.warpbert.backend;

/**
 * Philox4x32-7 written from section 3.3 of Salmon et al. (SC 2011), and dropout from the head of warpbert.h: nothing
 * is shared with native/include/philox.h.
 */
final class Philox {
    private Philox() {}

    /** Four 32-bit words (as ints) from counter[4] and key[2]. */
    static int[] words(int[] counter, int[] key) {
        long c0 = counter[0] & 0xffffffffL;
        long c1 = counter[1] & 0xffffffffL;
        long c2 = counter[2] & 0xffffffffL;
        long c3 = counter[3] & 0xffffffffL;
        int k0 = key[0];
        int k1 = key[1];
        for (int round = 0; round < 7; round++) {
            long product0 = 0xD2511F53L * c0; // below 2^64: the low 64 bits are all of it
            long product1 = 0xCD9E8D57L * c2;
            c0 = (product1 >>> 32) ^ c1 ^ (k0 & 0xffffffffL);
            c1 = product1 & 0xffffffffL;
            c2 = (product0 >>> 32) ^ c3 ^ (k1 & 0xffffffffL);
            c3 = product0 & 0xffffffffL;
            k0 += 0x9E3779B9;
            k1 += 0xBB67AE85;
        }
        return new int[] {(int) c0, (int) c1, (int) c2, (int) c3};
    }

    /** Where the masks of one call come from. */
    record Draw(float probability, int site, long seed, long step, int[] rows) {
        /** The multiplier of element number {@code e}: 0, or 65536 / (65536 - q). */
        double factor(long e) {
            return factor(e >>> 3, (int) (e & 7));
        }

        /** The multiplier of a number of a block. */
        double factor(long block, int number) {
            if (probability == 0) {
                return 1;
            }
            int[] words = words(new int[] {(int) block, (int) (block >>> 32), (int) step, site}, new int[] {(int) seed, (int) (seed >>> 32)});
            int drawn = number % 2 == 0 ? words[number / 2] & 0xffff : words[number / 2] >>> 16;
            long q = Math.round(probability * 65536.0);
            return drawn < q ? 0 : 65536.0 / (65536 - q);
        }

        long row(int t) {
            return rows == null ? t : rows[t];
        }

        /** Multipliers of a [rowCount, columns] tensor; null without dropout. */
        double[] factors(int rowCount, int columns) {
            if (probability == 0) {
                return null;
            }
            double[] factors = new double[rowCount * columns];
            for (int i = 0; i < factors.length; i++) {
                factors[i] = factor(row(i / columns) * columns + i % columns);
            }
            return factors;
        }

        /** The four arguments that every op with dropout takes. */
        OpCase on(OpCase op) {
            op.scalar("dropout", probability).scalar("site", site);
            if (probability > 0) {
                op.input("rng", seed, step);
            }
            return rows == null ? op : op.input("dropout_rows", rows);
        }
    }
}
