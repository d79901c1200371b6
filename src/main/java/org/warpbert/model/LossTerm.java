package org.warpbert.model;

import java.util.function.IntSupplier;
import org.warpbert.memory.Arena;

/** Where the losses of one term of a head's loss stand. A head makes it with the tensor, once; their number is the batch's. */
public final class LossTerm {
    private final Arena.Tensor losses;
    private final IntSupplier count;

    /**
     * @param losses float32, 0 for what has no label
     * @param count  how many of them, from the first, the batch last run has
     */
    public LossTerm(Arena.Tensor losses, IntSupplier count) {
        this.losses = losses;
        this.count = count;
    }

    public Arena.Tensor losses() {
        return losses;
    }

    public int count() {
        return count.getAsInt();
    }

    /** Their sum, read at once. */
    double sum() {
        double sum = 0;
        for (float loss : losses.downloadFloats(count())) {
            sum += loss;
        }
        return sum;
    }
}
