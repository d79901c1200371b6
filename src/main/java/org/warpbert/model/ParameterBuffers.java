package org.warpbert.model;

import org.warpbert.WarpBertException;
import org.warpbert.backend.Dtype;

/**
 * Where a model's parameters and their gradients stand, by name: flat buffers laid out by one table.
 *
 * @param table     of all
 * @param weights   address of the float32 weights, which element-wise ops read and the optimizer updates
 * @param operands  address of a buffer so laid out of the weights in {@code dtype}, of which those that matrix products read
 *                  are there; for float32 the same buffer
 * @param gradients the float32 gradients, or null: a model for inference
 * @param packed    whether the encoder layers' matrices are as {@link org.warpbert.backend.Gemm#pack} left them
 */
public record ParameterBuffers(ParameterTable table, long weights, long operands, Dtype dtype, Gradients gradients, boolean packed) {

    /** Address of a float32 parameter. */
    public long weight(String name) {
        return table.address(weights, name);
    }

    /** Address of what a product reads, in {@link #dtype}. */
    public long operand(String name) {
        long offset = table.slice(name).offset();
        if (offset < table.operandsFrom()) {
            throw new WarpBertException(name + " is no operand of matrix products: it is kept in float32 only");
        }
        return operands + offset * dtype.bytes();
    }

    /** Address of a parameter's float32 gradient; 0 where there are none, or none of this one since it is frozen. */
    public long gradient(String name) {
        return gradients == null ? 0 : gradients.address(name);
    }
}
