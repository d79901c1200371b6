package org.warpbert.reference;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Mean softmax cross-entropy as {@code torch.nn.functional.cross_entropy} defines it: with class weights the
 * mean is weighted, and ignored labels count neither above nor below the line.
 *
 * @param classWeights [C], or null
 */
public record TorchLoss(double[] classWeights, double labelSmoothing, long ignoreIndex) {
    public static final TorchLoss MEAN = new TorchLoss(null, 0, -100);
    private static final int REDUCE_MEAN = 1;

    /** Scalar loss of {@code logits} [N, C]. */
    Tensor of(Tensor logits, int[] labels) {
        Tensor weights = classWeights == null ? null
                : TorchTensors.of(classWeights, logits.scalar_type(), classWeights.length);
        return torch.cross_entropy_loss(logits, TorchTensors.of(labels, labels.length),
                TorchTensors.optional(weights), REDUCE_MEAN, ignoreIndex, labelSmoothing);
    }
}
