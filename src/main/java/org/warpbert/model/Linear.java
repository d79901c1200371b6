package org.warpbert.model;

import org.warpbert.backend.Activation;

/** Addresses of a linear layer's parameters, and its products: y = x w^T, bias and activation fused after it. */
public final class Linear {
    private final int in;
    private final int out;
    private final long weight; // [out, in]
    private final long bias; // [out]
    private final long weightGradient; // [out, in]
    private final long biasGradient; // [out]

    /** The layer {@code name}. */
    public Linear(ParameterBuffers buffers, String name) {
        long[] shape = buffers.table().slice(name + ".weight").shape();
        out = Math.toIntExact(shape[0]);
        in = Math.toIntExact(shape[1]);
        weight = buffers.operand(name + ".weight");
        bias = buffers.weight(name + ".bias");
        weightGradient = buffers.gradient(name + ".weight");
        biasGradient = buffers.gradient(name + ".bias");
    }

    /** product = x w^T and y = activation(product + b); x [rows, in], product and y [rows, out], which may be one. */
    public void forward(Pass pass, long y, long product, long x, Activation activation, int rows) {
        pass.backend.gemm().forward(pass.dtype(), product, x, weight, rows, in, out);
        pass.backend.biasActivationForward(pass.dtype(), y, product, bias, activation, rows, out);
    }

    /** From dy [rows, out], which becomes the gradient of the product, to dx [rows, in] and the parameters' gradients. */
    public void backward(Pass pass, long dx, long dy, long product, long x, Activation activation, int rows) {
        pass.backend.biasActivationBackward(pass.dtype(), dy, biasGradient, pass.workspace(), dy, product, bias, activation, rows, out);
        pass.backend.gemm().backwardWeight(pass.dtype(), weightGradient, dy, x, pass.accumulate, rows, in, out);
        pass.backend.gemm().backwardInput(pass.dtype(), dx, dy, weight, false, rows, in, out);
    }
}
