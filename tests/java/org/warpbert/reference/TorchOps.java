package org.warpbert.reference;

import static org.warpbert.reference.TorchTensors.doubles;
import static org.warpbert.reference.TorchTensors.leaf;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * One op at a time in float64, gradients by autograd. All arrays are row-major; T rows are packed tokens.
 * {@code upstream} is the gradient of the op's output. A dropout argument is the multiplier of each element,
 * 0 or 1/(1-p), so that any generator's mask can be checked; null is none.
 */
@SuppressWarnings("try") // a PointerScope works by being open
public final class TorchOps {
    private static final long EACH = 0; // libtorch's number of "no reduction"

    private TorchOps() {}

    /** An op's output and the gradient of each differentiable input, by the name of the method's parameter. */
    public record Result(double[] output, Map<String, double[]> gradients) {
        public double[] gradient(String name) {
            return gradients.get(name);
        }
    }

    /** word[V,H] + position[P,H] + segment[S,H] rows, LayerNorm, dropout [T,H] -> [T,H]. */
    public static Result embeddings(int[] tokens, int[] positions, int[] segments, double[] word, double[] position,
            double[] segment, double[] gamma, double[] beta, double eps, double[] dropout, double[] upstream) {
        long h = gamma.length;
        return run(leaves -> leaves.add("word", word, -1, h).add("position", position, -1, h)
                .add("segment", segment, -1, h).add("gamma", gamma, h).add("beta", beta, h), in -> {
            Tensor sum = rows(in.get("word"), tokens).add(rows(in.get("position"), positions))
                    .add(rows(in.get("segment"), segments));
            return scaled(TorchTensors.layerNorm(sum, in.get("gamma"), in.get("beta"), eps), dropout);
        }, upstream);
    }

    /** activation(x[T,N] + bias[N]); {@code gelu}, {@code gelu_new}, {@code relu} or {@code tanh}. */
    public static Result biasActivation(String activation, double[] x, double[] bias, double[] upstream) {
        return run(leaves -> leaves.add("x", x, -1, bias.length).add("bias", bias, bias.length),
                in -> TorchTensors.activate(activation, in.get("x").add(in.get("bias"))), upstream);
    }

    /** LayerNorm(dropout * (x[T,H] + bias[H]) + residual[T,H]). */
    public static Result biasResidualLayerNorm(double[] x, double[] bias, double[] residual, double[] gamma,
            double[] beta, double eps, double[] dropout, double[] upstream) {
        long h = gamma.length;
        return run(leaves -> leaves.add("x", x, -1, h).add("bias", bias, h).add("residual", residual, -1, h)
                .add("gamma", gamma, h).add("beta", beta, h), in -> {
            Tensor sum = scaled(in.get("x").add(in.get("bias")), dropout).add(in.get("residual"));
            return TorchTensors.layerNorm(sum, in.get("gamma"), in.get("beta"), eps);
        }, upstream);
    }

    /**
     * softmax(q k^T / sqrt(D)) v per head, sequence by sequence of the packed rows.
     *
     * @param q [T, A*D], as {@code k}, {@code v} and the output
     * @param cuSeqlens [B+1]
     * @param keyMask [T], true where a key may be attended to, or null; a sequence needs at least one
     * @param dropout per sequence [A*L*L] over the probabilities, or null
     */
    public static Result attention(double[] q, double[] k, double[] v, int[] cuSeqlens, boolean[] keyMask, int heads,
            double[][] dropout, double[] upstream) {
        long t = cuSeqlens[cuSeqlens.length - 1];
        long h = q.length / t;
        return run(leaves -> leaves.add("q", q, t, h).add("k", k, t, h).add("v", v, t, h), in -> {
            TensorVector contexts = new TensorVector();
            Tensor mask = keyMask == null ? null : TorchTensors.of(keyMask, t).logical_not();
            for (int b = 0; b + 1 < cuSeqlens.length; b++) {
                long start = cuSeqlens[b];
                long length = cuSeqlens[b + 1] - start;
                Tensor[] qkv = new Tensor[3];                                      // [A, L, D] each
                for (int i = 0; i < 3; i++) {
                    qkv[i] = in.get("qkv".substring(i, i + 1)).narrow(0, start, length)
                            .reshape(length, heads, h / heads).transpose(0, 1);
                }
                Tensor scores = torch.matmul(qkv[0], qkv[1].transpose(1, 2)).mul(new Scalar(1 / Math.sqrt((double) h / heads)));
                if (mask != null) {
                    scores = scores.masked_fill(mask.narrow(0, start, length), new Scalar(Double.NEGATIVE_INFINITY));
                }
                Tensor weights = scaled(torch.softmax(scores, -1), dropout == null ? null : dropout[b]);
                contexts.push_back(torch.matmul(weights, qkv[2]).transpose(0, 1).reshape(length, h));
            }
            return torch.cat(contexts, 0);
        }, upstream);
    }

    /** x[T,H] at {@code rows} -> [rows,H]; a row taken twice gets both gradients. */
    public static Result gatherRows(double[] x, int hiddenSize, int[] rows, double[] upstream) {
        return run(leaves -> leaves.add("x", x, -1, hiddenSize), in -> rows(in.get("x"), rows), upstream);
    }

    /** {@code loss} of logits[N,C]; the output has one element, the upstream gradient is 1. */
    public static Result crossEntropy(double[] logits, int[] labels, TorchLoss loss) {
        return run(leaves -> leaves.add("logits", logits, labels.length, logits.length / labels.length),
                in -> loss.of(in.get("logits"), labels).reshape(1), new double[] {1});
    }

    /** (prediction[N,C] - target)^2 of each element. */
    public static Result squaredError(double[] prediction, double[] target, int columns, double[] upstream) {
        return run(leaves -> leaves.add("prediction", prediction, -1, columns), in -> torch.mse_loss(in.get("prediction"),
                TorchTensors.of(target, ScalarType.Double, in.get("prediction").shape()), EACH), upstream);
    }

    /** Cross-entropy of sigmoid(logits[N,C]) and target, each element by itself; weights are [C]. */
    public static Result binaryCrossEntropy(double[] logits, double[] target, double[] weights, double[] upstream) {
        return run(leaves -> leaves.add("logits", logits, -1, weights.length),
                in -> torch.binary_cross_entropy_with_logits(in.get("logits"),
                        TorchTensors.of(target, ScalarType.Double, in.get("logits").shape()),
                        TorchTensors.optional(vector(weights)), TorchTensors.optional(null), EACH), upstream);
    }

    /**
     * Cross-entropy of a softmax over each segment's rows of logits[T,C], column by column.
     *
     * @param labels [B,C], rows of the segment, or {@code ignore}, which gives 0; the output and upstream alike
     */
    public static Result segmentCrossEntropy(double[] logits, int[] cuSeqlens, int[] labels, int ignore, double[] upstream) {
        int b = cuSeqlens.length - 1;
        int c = labels.length / b;
        return run(leaves -> leaves.add("logits", logits, -1, c), in -> {
            TensorVector losses = new TensorVector();
            for (int i = 0; i < b; i++) {
                Tensor rows = in.get("logits").narrow(0, cuSeqlens[i], cuSeqlens[i + 1] - cuSeqlens[i]);
                losses.push_back(rows.size(0) == 0 ? rows.sum(0) // nothing to choose from: zeros
                        : torch.cross_entropy_loss(rows.transpose(0, 1), TorchTensors.of(Arrays.copyOfRange(labels, i * c, i * c + c), c),
                                TorchTensors.optional(null), EACH, ignore, 0));
            }
            return torch.cat(losses, 0);
        }, upstream);
    }

    /** New parameter and moments, all the length of the old. */
    public record AdamWResult(double[] parameter, double[] firstMoment, double[] secondMoment) {}

    /** One step of decoupled AdamW from its formula; {@code step} counts from 1. */
    public static AdamWResult adamW(double[] parameter, double[] gradient, double[] firstMoment, double[] secondMoment,
            long step, double lr, double beta1, double beta2, double eps, double weightDecay) {
        try (PointerScope scope = new PointerScope()) {
            Tensor g = vector(gradient);
            Tensor m = vector(firstMoment).mul(new Scalar(beta1)).add(g.mul(new Scalar(1 - beta1)));
            Tensor v = vector(secondMoment).mul(new Scalar(beta2)).add(g.mul(g).mul(new Scalar(1 - beta2)));
            Tensor direction = m.div(new Scalar(1 - Math.pow(beta1, step)))
                    .div(v.div(new Scalar(1 - Math.pow(beta2, step))).sqrt().add(new Scalar(eps)));
            Tensor p = vector(parameter).mul(new Scalar(1 - lr * weightDecay)).sub(direction.mul(new Scalar(lr)));
            return new AdamWResult(doubles(p), doubles(m), doubles(v));
        }
    }

    /** {@code output} is the norm before clipping; {@code gradients} holds the clipped {@code gradient}. */
    public static Result clip(double[] gradient, double maxNorm) {
        try (PointerScope scope = new PointerScope()) {
            Tensor parameter = leaf(new double[gradient.length], gradient.length);
            parameter.mutable_grad().put(vector(gradient));
            double norm = torch.clip_grad_norm_(parameter, maxNorm);
            return new Result(new double[] {norm}, Map.of("gradient", doubles(parameter.grad())));
        }
    }

    private static final class Leaves {
        final Map<String, Tensor> tensors = new LinkedHashMap<>();

        /** A first dimension of -1 follows from the length. */
        Leaves add(String name, double[] values, long... shape) {
            long[] full = shape.clone();
            if (full[0] == -1) {
                full[0] = values.length / full[1];
            }
            tensors.put(name, leaf(values, full));
            return this;
        }
    }

    private static Result run(Function<Leaves, Leaves> inputs, Function<Map<String, Tensor>, Tensor> op, double[] upstream) {
        try (PointerScope scope = new PointerScope()) {
            Map<String, Tensor> in = inputs.apply(new Leaves()).tensors;
            Tensor output = op.apply(in);
            output.mul(TorchTensors.of(upstream, ScalarType.Double, output.shape())).sum().backward();
            Map<String, double[]> gradients = new LinkedHashMap<>();
            in.forEach((name, tensor) -> gradients.put(name, doubles(tensor.grad())));
            return new Result(doubles(output), gradients);
        }
    }

    private static Tensor rows(Tensor table, int[] rows) {
        return torch.index_select(table, 0, TorchTensors.of(rows, rows.length));
    }

    private static Tensor scaled(Tensor x, double[] multiplier) {
        return multiplier == null ? x : x.mul(TorchTensors.of(multiplier, ScalarType.Double, x.shape()));
    }

    private static Tensor vector(double[] values) {
        return TorchTensors.of(values, ScalarType.Double, values.length);
    }
}
