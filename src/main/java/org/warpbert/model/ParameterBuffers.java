package org.warpbert.model;

import org.warpbert.backend.Dtype;

/**
 * Where a model's parameters and their gradients stand, by name: flat buffers laid out by one table.
 *
 * @param table     of all
 * @param weights   address of the float32 weights, which element-wise ops read and the optimizer updates
 * @param operands  address of the same weights in {@code dtype}, which matrix products read; for float32 the same buffer
 * @param gradients address of the float32 gradients, or 0: a model for inference
 */
public record ParameterBuffers(ParameterTable table, long weights, long operands, Dtype dtype, long gradients) {

    /** Of float32 products. */
    static ParameterBuffers f32(ParameterTable table, long weights, long gradients) {
        return new ParameterBuffers(table, weights, weights, Dtype.F32, gradients);
    }

    /** Address of a float32 parameter. */
    public long weight(String name) {
        return table.address(weights, name);
    }

    /** Address of a matrix in {@link #dtype}. */
    public long operand(String name) {
        return operands + table.slice(name).offset() * dtype.bytes();
    }

    /** Address of a parameter's float32 gradient; 0 where there are none. */
    public long gradient(String name) {
        return gradients == 0 ? 0 : table.address(gradients, name);
    }
}
