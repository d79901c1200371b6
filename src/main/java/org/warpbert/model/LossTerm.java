package org.warpbert.model;

import org.warpbert.memory.Arena;

/**
 * Where the losses of one term of a head's loss stand.
 *
 * @param losses float32, 0 for what has no label
 * @param count  how many of them, from the first
 */
public record LossTerm(Arena.Tensor losses, int count) {
    /** Their sum, read at once. */
    double sum() {
        double sum = 0;
        for (float loss : losses.downloadFloats(count)) {
            sum += loss;
        }
        return sum;
    }
}
