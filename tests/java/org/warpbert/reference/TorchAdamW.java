package org.warpbert.reference;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorList;
import org.bytedeco.pytorch.global.torch;

/**
 * Clip and {@code torch.optim.AdamW(fused=True)} for a {@link TorchBert}, in two groups: weights decay, biases
 * and LayerNorm do not. The fused kernel has no C++ method, so it is called through the dispatcher.
 */
@SuppressWarnings("try") // a PointerScope works by being open
public final class TorchAdamW implements AutoCloseable {
    private record State(Tensor firstMoment, Tensor secondMoment, Tensor step) {}

    private final TorchBert model;
    private final double beta1;
    private final double beta2;
    private final double eps;
    private final double weightDecay;
    private final Map<String, State> states = new LinkedHashMap<>();

    public TorchAdamW(TorchBert model, double beta1, double beta2, double eps, double weightDecay) {
        this.model = model;
        this.beta1 = beta1;
        this.beta2 = beta2;
        this.eps = eps;
        this.weightDecay = weightDecay;
    }

    /** Betas 0.9 and 0.999, eps 1e-8. */
    public TorchAdamW(TorchBert model, double weightDecay) {
        this(model, 0.9, 0.999, 1e-8, weightDecay);
    }

    /**
     * Clips the gradients of the last backward to {@code maxNorm}, then updates every parameter that has one.
     *
     * @return the norm of all gradients before clipping
     */
    public double step(double learningRate, double maxNorm) {
        return step(learningRate, maxNorm, name -> 1);
    }

    /** {@link #step(double, double)} with a factor of the rate for each parameter, a group for each; of 0: it has no gradient. */
    public double step(double learningRate, double maxNorm, ToDoubleFunction<String> factor) {
        try (PointerScope scope = new PointerScope(); NoGradGuard guard = new NoGradGuard()) {
            Set<Double> factors = new TreeSet<>();
            for (String name : model.names()) {
                factors.add(factor.applyAsDouble(name));
                if (factor.applyAsDouble(name) == 0) {
                    model.parameter(name).mutable_grad().reset();
                }
            }
            double norm = torch.clip_grad_norm_(model.withGradient(), maxNorm);
            for (double each : factors) {
                update(learningRate * each, true, name -> factor.applyAsDouble(name) == each);
                update(learningRate * each, false, name -> factor.applyAsDouble(name) == each);
            }
            return norm;
        }
    }

    /** Whether weight decay applies: neither to biases nor to LayerNorm. */
    public static boolean decays(String name) {
        return !name.endsWith("bias") && !name.contains("LayerNorm");
    }

    @Override
    public void close() {
        states.values().forEach(state -> {
            state.firstMoment.close();
            state.secondMoment.close();
            state.step.close();
        });
        states.clear();
    }

    private void update(double learningRate, boolean decayed, Predicate<String> inGroup) {
        TensorList parameters = new TensorList();
        TensorList gradients = new TensorList();
        TensorList firstMoments = new TensorList();
        TensorList secondMoments = new TensorList();
        TensorList steps = new TensorList();
        for (String name : model.names()) {
            Tensor parameter = model.parameter(name);
            if (!inGroup.test(name) || decays(name) != decayed || !parameter.grad().defined()) {
                continue;
            }
            State state = states.computeIfAbsent(name, n -> new State(
                    TorchTensors.keep(torch.zeros_like(parameter)), TorchTensors.keep(torch.zeros_like(parameter)),
                    TorchTensors.keep(Tensor.create(0f))));
            state.step.add_(new Scalar(1));
            parameters.push_back(parameter);
            gradients.push_back(parameter.grad());
            firstMoments.push_back(state.firstMoment);
            secondMoments.push_back(state.secondMoment);
            steps.push_back(state.step);
        }
        if (parameters.empty()) {
            return;
        }
        // aten::_fused_adamw_(self, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, state_steps,
        //     lr, beta1, beta2, weight_decay, eps, amsgrad, maximize, grad_scale, found_inf)
        Dispatcher.singleton().findSchemaOrThrow("aten::_fused_adamw_", "").callBoxed(new IValueVector(
                list(parameters), list(gradients), list(firstMoments), list(secondMoments), list(new TensorList()),
                list(steps), new IValue(learningRate), new IValue(beta1), new IValue(beta2),
                new IValue(decayed ? weightDecay : 0.0), new IValue(eps), new IValue(false), new IValue(false),
                new IValue(), new IValue()));
    }

    /** {@code List<Tensor>} and {@code List<IValue>} are one type behind the same handle in C++; JavaCPP maps only the latter. */
    private static IValue list(TensorList tensors) {
        return new IValue(new GenericList(tensors));
    }
}
