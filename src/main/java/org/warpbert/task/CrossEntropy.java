package org.warpbert.task;

import org.warpbert.backend.Dtype;
import org.warpbert.memory.Arena;
import org.warpbert.model.Pass;
import org.warpbert.text.PackedBatch;

/**
 * One class of C: softmax cross-entropy as PyTorch has it. Weighted losses are divided by the sum of the labels' weights; a
 * smoothed label is {@code (1 - smoothing) onehot + smoothing / C}, and does not change what is divided by.
 */
final class CrossEntropy implements LogitLoss {
    private final float[] weights;
    private final float smoothing;
    private Arena.Tensor onDevice; // [C]

    /** @param weights [C], or null: all 1 */
    CrossEntropy(float[] weights, double smoothing) {
        this.weights = weights;
        this.smoothing = (float) smoothing;
    }

    @Override
    public void plan(Arena arena, int classes) {
        onDevice = weights == null ? null : arena.add("classifier.weights", Dtype.F32, classes);
    }

    @Override
    public void bind() {
        if (weights != null) {
            onDevice.upload(weights);
        }
    }

    @Override
    public int width(int classes) {
        return 1;
    }

    @Override
    public double normaliser(int[] labels) {
        double sum = 0;
        for (int label : labels) { // no stream: it is asked once a step, which makes no object
            sum += label == PackedBatch.IGNORE ? 0 : weights == null ? 1 : weights[label];
        }
        return sum;
    }

    @Override
    public void compute(Pass pass, long losses, long gradient, long logits, float gradientScale, int classes) {
        pass.backend().crossEntropy(pass.dtype(), losses, gradient, logits, pass.labels(), weights == null ? 0 : onDevice.address(),
                smoothing, PackedBatch.IGNORE, gradientScale, pass.sequences(), classes, classes);
    }
}
