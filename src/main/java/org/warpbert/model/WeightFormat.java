package org.warpbert.model;

import org.warpbert.backend.Dtype;

/**
 * How a model's weights are kept on the device. What element-wise ops read (embedding tables, biases, LayerNorm) is float32
 * always. What matrix products read, biases that they add included, is of the compute type; where that has 16 bits, training keeps float32 masters beside
 * it, which the optimizer updates and rounds from, and inference does not. For inference alone the encoder's matrices are rearranged
 * for products too, where that is faster ({@link org.warpbert.backend.Gemm#pack}).
 *
 * @param dtype    that products read
 * @param training whether the weights may be trained
 */
public record WeightFormat(Dtype dtype, boolean training) {
    /** Float32 for everything. */
    public static final WeightFormat F32 = new WeightFormat(Dtype.F32, true);

    /** Elements of the float32 buffer, a table's first. */
    long floats(ParameterTable table) {
        return dtype == Dtype.F32 || training ? table.size() : table.end(ParameterTable.Region.VECTORS);
    }

    /** Where in the table the 16-bit buffer begins; its end for float32, which has none. The optimizer rounds all it updates. */
    long operandsFrom(ParameterTable table) {
        return dtype == Dtype.F32 ? table.size() : training ? 0 : table.operandsFrom();
    }

    /** Bytes that the weights take. */
    public long bytes(ParameterTable table) {
        return floats(table) * Float.BYTES + (table.size() - operandsFrom(table)) * dtype.bytes();
    }
}
