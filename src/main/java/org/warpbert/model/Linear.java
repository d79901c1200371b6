package org.warpbert.model;

import org.warpbert.backend.Activation;

/** Addresses of a linear layer's parameters, and its products: y = x w^T, bias and activation fused after it. */
public final class Linear {
    private final int in;
    private final int out;
    private final long weight; // [out, in]
    private final long bias; // [out]

    /** The layer {@code name} of a table whose flat buffer starts at {@code base}. */
    public Linear(ParameterTable table, long base, String name) {
        long[] shape = table.slice(name + ".weight").shape();
        out = Math.toIntExact(shape[0]);
        in = Math.toIntExact(shape[1]);
        weight = table.address(base, name + ".weight");
        bias = table.address(base, name + ".bias");
    }

    /** product = x w^T and y = activation(product + b); x [rows, in], product and y [rows, out], which may be one. */
    public void forward(Pass pass, long y, long product, long x, Activation activation, int rows) {
        pass.backend.gemm().forward(product, x, weight, rows, in, out);
        pass.backend.biasActivationForward(pass.dtype, y, product, bias, activation, rows, out);
    }

    /**
     * From dy [rows, out], which becomes the gradient of the product, to dx [rows, in] and the gradients of
     * {@code into}.
     */
    public void backward(Pass pass, long dx, long dy, long product, long x, Activation activation, Linear into, int rows) {
        pass.backend.biasActivationBackward(pass.dtype, dy, into.bias, pass.workspace(), dy, product, bias, activation, rows, out);
        pass.backend.gemm().backwardWeight(into.weight, dy, x, pass.accumulate, rows, in, out);
        pass.backend.gemm().backwardInput(dx, dy, weight, false, rows, in, out);
    }
}
