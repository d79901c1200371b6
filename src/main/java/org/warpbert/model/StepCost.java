package org.warpbert.model;

import org.warpbert.memory.BatchPlanner;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.memory.Recompute;

/**
 * Predicts the time of a step: floating-point operations of the products and of attention, at the device's rate; bytes that
 * element-wise ops, each micro-batch's pass over the weights, and the optimizer move, at the device's bandwidth. A backward
 * costs two forwards. Simple on purpose: it has to tell plans apart.
 */
final class StepCost implements BatchPlanner.Cost {
    private final double layers;
    private final double trained; // of the layers
    private final double hidden;
    private final double intermediate;
    private final double length;
    private final double skipped;
    private final double parameters; // trained
    private final double matrices;
    private final double trainedMatrices;
    private final int elementBytes;
    private final boolean training;
    private final DeviceSpeed speed;

    /**
     * @param length tokens of a typical sequence
     * @param read   rows that the head reads, for each token
     */
    StepCost(BertConfig config, ParameterTable table, PassPlan like, double length, double read, DeviceSpeed speed) {
        this.layers = config.numHiddenLayers();
        this.hidden = config.hiddenSize();
        this.intermediate = config.intermediateSize();
        this.length = length;
        this.skipped = 1 - read;
        TrainedPart part = new TrainedPart(table, like.frozenLevels());
        this.trained = like.training() ? layers - Math.max(0, like.frozenLevels() - 1) : 0;
        this.parameters = part.size();
        this.matrices = table.size() - table.matricesFrom();
        this.trainedMatrices = part.size() - part.beforeMatrices();
        this.elementBytes = like.dtype().bytes();
        this.training = like.training();
        this.speed = speed;
    }

    @Override
    public double seconds(double tokens, double parts, Recompute recompute) {
        double attention = 6 * hidden * hidden + 4 * length * hidden; // operations per token and layer: qkv, scores, values
        double behind = 2 * hidden * hidden + 4 * hidden * intermediate; // attention's projection and the feed-forward
        double layer = attention + behind;
        double moved = (18 * hidden + 2 * intermediate) * elementBytes; // bytes per token and layer, element-wise
        double movedBehind = (8 * hidden + 2 * intermediate) * elementBytes;
        double operations = 0; // of what is computed again
        double bytes = 0;
        switch (recompute) {
            case NONE -> { }
            case OUTPUTS -> bytes = (4 * hidden + 2 * intermediate) * elementBytes;
            case ATTENTION -> {
                operations = attention;
                bytes = (14 * hidden + 2 * intermediate) * elementBytes;
            }
            case LAYERS -> {
                operations = layer;
                bytes = moved;
            }
            default -> throw new AssertionError(recompute);
        }
        operations = layers * layer + trained * (2 * layer + operations);
        bytes = layers * moved + trained * (2 * moved + bytes);
        int passes = trained > 0 ? 3 : 1; // of the last layer, whose rows that nothing reads are left out behind its attention
        operations -= passes * skipped * behind;
        bytes -= passes * skipped * movedBehind;
        // matrices are read, those that are trained once more, and their gradients read and written
        double part = elementBytes * matrices + (training ? elementBytes + 2 * Float.BYTES : 0) * trainedMatrices;
        double update = training ? 9 * Float.BYTES * parameters : 0; // cleared, summed, and AdamW's reads and writes
        return tokens * (operations / speed.flops() + bytes / speed.bytes()) + (parts * part + update) / speed.bytes();
    }
}
