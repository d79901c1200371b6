package org.warpbert.reference;

import java.util.Arrays;
import java.util.function.Supplier;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Java arrays to libtorch tensors and back. Everything made here belongs to the caller's PointerScope. */
@SuppressWarnings("try") // a PointerScope works by being open
final class TorchTensors {
    static {
        // Most checks are tiny, and on a busy machine OpenMP's handing out of tiny work costs ten times the work.
        torch.set_num_threads(1);
    }

    private TorchTensors() {}

    static void threads(int count) {
        torch.set_num_threads(count);
    }

    static Tensor of(double[] values, ScalarType dtype, long... shape) {
        return Tensor.create(values, checked(values.length, shape)).to(dtype);
    }

    static Tensor of(float[] values, ScalarType dtype, long... shape) {
        return Tensor.create(values, checked(values.length, shape)).to(dtype);
    }

    static Tensor of(int[] values, long... shape) {
        return Tensor.create(values, checked(values.length, shape)).to(ScalarType.Long);
    }

    static Tensor of(boolean[] values, long... shape) {
        return Tensor.create(values, checked(values.length, shape));
    }

    /** A leaf that gradients are collected for. */
    static Tensor leaf(double[] values, long... shape) {
        return of(values, ScalarType.Double, shape).requires_grad_(true);
    }

    static double[] doubles(Tensor tensor) {
        double[] values = new double[Math.toIntExact(tensor.numel())];
        Tensor dense = tensor.detach().to(ScalarType.Double).contiguous();
        try (DoublePointer data = dense.data_ptr_double()) {
            data.get(values);
        }
        return values;
    }

    static float[] floats(Tensor tensor) {
        float[] values = new float[Math.toIntExact(tensor.numel())];
        Tensor dense = tensor.detach().to(ScalarType.Float).contiguous();
        try (FloatPointer data = dense.data_ptr_float()) {
            data.get(values);
        }
        return values;
    }

    static TensorOptional optional(Tensor tensor) {
        return tensor == null ? new TensorOptional() : new TensorOptional(tensor);
    }

    /** Keeps a pointer beyond the PointerScope it was made in; its owner must close it. */
    static <P extends Pointer> P keep(P pointer) {
        pointer.retainReference();
        return pointer;
    }

    /** Frees all that {@code body} makes but its result, which passes to the enclosing scope. */
    static Tensor returned(Supplier<Tensor> body) {
        Tensor result;
        try (PointerScope inner = new PointerScope()) {
            result = keep(body.get());
        }
        PointerScope.getInnerScope().attach(result);
        result.releaseReference();
        return result;
    }

    /** Tensor {@code x} [..., in] times {@code weight} [out, in] transposed, plus {@code bias} [out]. */
    static Tensor linear(Tensor x, Tensor weight, Tensor bias) {
        return torch.linear(x, weight, optional(bias));
    }

    static Tensor layerNorm(Tensor x, Tensor gamma, Tensor beta, double eps) {
        return torch.layer_norm(x, new long[] {gamma.size(0)}, optional(gamma), optional(beta), eps, false);
    }

    /** The activations that Hugging Face configurations of BERT name, and the pooler's tanh. */
    static Tensor activate(String activation, Tensor x) {
        return switch (activation) {
            case "gelu" -> torch.gelu(x, "none");
            case "gelu_new" -> torch.gelu(x, "tanh");
            case "relu" -> torch.relu(x);
            case "tanh" -> torch.tanh(x);
            default -> throw new IllegalArgumentException("no activation named " + activation);
        };
    }

    private static long[] checked(int length, long[] shape) {
        long product = Arrays.stream(shape).reduce(1, Math::multiplyExact);
        if (product != length) {
            throw new IllegalArgumentException(length + " values for shape " + Arrays.toString(shape));
        }
        return shape;
    }
}
