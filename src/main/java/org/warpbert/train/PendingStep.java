package org.warpbert.train;

import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.memory.Arena;
import org.warpbert.model.Head;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/** A step that was asked for and, once it was waited for, what came of it. One is begun again and again, so that a step makes no object. */
final class PendingStep implements AutoCloseable {
    private final Head head;
    private final ReadBack readBack;
    private final double[] normalisers; // of each term of the loss, as all below
    private final float[] scales;
    private final double[] sums;
    private long number;
    private double lr;
    private float lossScale;
    private int tokens;
    private double loss;
    private double gradNorm;

    /** @param largest the largest batch that is expected */
    PendingStep(Backend backend, Head head, Capacity largest) {
        this.head = head;
        normalisers = new double[head.terms()];
        scales = new float[normalisers.length];
        sums = new double[normalisers.length];
        readBack = new ReadBack(backend, largest);
    }

    /** What one takes of the host for batches up to this. */
    static int bytes(Capacity largest) {
        return ReadBack.bytes(largest);
    }

    /** It is asked for. @param newNumber 1 for the run's first */
    void begin(PackedBatch batch, long newNumber, double newLr) {
        number = newNumber;
        lr = newLr;
        tokens = batch.totalTokens();
        for (int k = 0; k < normalisers.length; k++) {
            normalisers[k] = head.normaliser(batch, k);
        }
    }

    /** Factors of the terms' gradients, those of the loss times {@code newLossScale}. */
    float[] scales(float newLossScale) {
        lossScale = newLossScale;
        for (int k = 0; k < scales.length; k++) {
            scales[k] = normalisers[k] == 0 ? 0 : (float) (lossScale / normalisers[k]); // a term that nothing in the batch has a label for
        }
        return scales;
    }

    /** Where its losses are to be put. */
    ReadBack readBack() {
        return readBack;
    }

    /** All of it was asked for. @param stats see {@link AdamW#stats} */
    void end(Arena.Tensor stats) {
        readBack.end(stats);
    }

    /** Waits until it is done, and reads what it did. */
    void await() {
        readBack.sums(sums);
        loss = Head.loss(sums, normalisers);
        if (!Double.isFinite(loss)) {
            throw new WarpBertException("the loss is " + (Double.isNaN(loss) ? "not a number" : "infinite") + " at step " + number + "; a lower learning rate (--lr) may help (it was " + lr + ")");
        }
        gradNorm = readBack.gradNorm();
    }

    long number() {
        return number;
    }

    double lr() {
        return lr;
    }

    float lossScale() {
        return lossScale;
    }

    double loss() {
        return loss;
    }

    /** See {@link Trainer.Result#skipped}. */
    boolean skipped() {
        return Double.isNaN(gradNorm);
    }

    Trainer.Result result() {
        return new Trainer.Result(loss, gradNorm, lr, lossScale, tokens);
    }

    @Override
    public void close() {
        readBack.close();
    }
}
