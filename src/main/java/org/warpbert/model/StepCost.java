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
    private final double hidden;
    private final double intermediate;
    private final double length;
    private final double parameters;
    private final double matrices;
    private final int elementBytes;
    private final boolean training;
    private final DeviceSpeed speed;

    /** @param length tokens of a typical sequence */
    StepCost(BertConfig config, ParameterTable table, PassPlan like, double length, DeviceSpeed speed) {
        this.layers = config.numHiddenLayers();
        this.hidden = config.hiddenSize();
        this.intermediate = config.intermediateSize();
        this.length = length;
        this.parameters = table.size();
        this.matrices = table.size() - table.end(ParameterTable.Region.VECTORS);
        this.elementBytes = like.dtype().bytes();
        this.training = like.training();
        this.speed = speed;
    }

    @Override
    public double seconds(double tokens, double parts, Recompute recompute) {
        double attention = 6 * hidden * hidden + 4 * length * hidden; // operations per token and layer: qkv, scores, values
        double layer = attention + 2 * hidden * hidden + 4 * hidden * intermediate;
        double moved = (18 * hidden + 2 * intermediate) * elementBytes; // bytes per token and layer, element-wise
        double operations = (training ? 3 : 1) * layer;
        double bytes = (training ? 3 : 1) * moved;
        switch (recompute) {
            case NONE -> { }
            case OUTPUTS -> bytes += (4 * hidden + 2 * intermediate) * elementBytes;
            case ATTENTION -> {
                operations += attention;
                bytes += (14 * hidden + 2 * intermediate) * elementBytes;
            }
            case LAYERS -> {
                operations += layer;
                bytes += moved;
            }
            default -> throw new AssertionError(recompute);
        }
        double part = (training ? 2 * elementBytes + 2 * Float.BYTES : elementBytes) * matrices; // read twice, gradients read and written
        double update = training ? 9 * Float.BYTES * parameters : 0; // cleared, summed, and AdamW's reads and writes
        return tokens * layers * (operations / speed.flops() + bytes / speed.bytes()) + (parts * part + update) / speed.bytes();
    }
}
