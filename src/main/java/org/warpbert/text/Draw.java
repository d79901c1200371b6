package org.warpbert.text;

import java.util.SplittableRandom;

/**
 * Random draws that are a function of the seed alone, the same on every platform and Java version: built on
 * {@code SplittableRandom.nextLong()}, whose algorithm is fixed, and on nothing that a Java release may change.
 */
final class Draw {
    private final SplittableRandom random;

    /** A stream of its own for each number; hashing the seed first keeps the streams of neighbouring seeds apart. */
    Draw(long seed, long stream) {
        random = new SplittableRandom(new SplittableRandom(seed).nextLong() + stream);
    }

    /** 0 … bound - 1. */
    int below(int bound) {
        return (int) ((random.nextLong() >>> 33) * bound >>> 31);
    }

    /** In [0, 1). */
    double uniform() {
        return (random.nextLong() >>> 11) * 0x1p-53;
    }

    /** Fisher and Yates's shuffle, from the last index down. */
    void shuffle(int[] values) {
        for (int i = values.length - 1; i > 0; i--) {
            int j = below(i + 1);
            int swapped = values[i];
            values[i] = values[j];
            values[j] = swapped;
        }
    }
}
