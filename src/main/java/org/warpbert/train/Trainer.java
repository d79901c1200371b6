package org.warpbert.train;

import java.util.function.Consumer;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Dtype;
import org.warpbert.backend.OutOfDeviceMemory;
import org.warpbert.memory.BatchPlanner;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.memory.MemoryPlan;
import org.warpbert.memory.Retry;
import org.warpbert.model.BertConfig;
import org.warpbert.model.BertModel;
import org.warpbert.model.Gradients;
import org.warpbert.model.Head;
import org.warpbert.model.Parameters;
import org.warpbert.model.PassPlan;
import org.warpbert.model.PassPlanner;
import org.warpbert.model.PlannedModel;
import org.warpbert.model.TrainedPart;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.Capacity;
import org.warpbert.text.MicroBatches;
import org.warpbert.text.PackedBatch;

/**
 * Training steps: forward and backward of each micro-batch, clip, update. Owns gradients, optimizer state and activations, all
 * allocated before the first step; a step that finds the device out of memory plans its micro-batches anew and begins again.
 */
public final class Trainer implements AutoCloseable {
    private final Hyperparameters hyper;
    private final long scheduledSteps;
    private final Head head;
    private final Gradients gradients;
    private final AdamW optimizer;
    private final PlannedModel planned;
    private final LossScale lossScale;
    private long steps;

    /**
     * Takes memory as it finds it: batches are cut where that is not enough for one of this capacity at a time.
     *
     * @param capacity of the largest batch to come
     */
    public Trainer(Backend backend, BertConfig config, Parameters parameters, Head head, Hyperparameters hyper,
            long scheduledSteps, Capacity capacity) {
        this(backend, config, parameters, head, hyper, scheduledSteps, capacity, Dtype.F32, LossScale.of(parameters.dtype()));
    }

    /**
     * @param scheduledSteps steps of all epochs, over which the linear schedule falls unless {@code totalSteps} says other
     * @param plan           of the batches to come
     * @param note           receives a line when memory was refused
     */
    public Trainer(Backend backend, BertConfig config, Parameters parameters, Head head, Hyperparameters hyper,
            long scheduledSteps, TrainingPlan plan, Consumer<String> note) {
        this(backend, config, parameters, head, hyper, scheduledSteps, plan.planner(), plan.moments(), note, LossScale.of(parameters.dtype()));
    }

    Trainer(Backend backend, BertConfig config, Parameters parameters, Head head, Hyperparameters hyper, long scheduledSteps,
            Capacity capacity, Dtype moments, LossScale lossScale) {
        this(backend, config, parameters, head, hyper, scheduledSteps, new PassPlanner(config, parameters.table(), head,
                PassPlan.training(parameters.dtype(), hyper.layerRates().frozenLevels()), BatchSizes.worst(capacity, 1), backend.name(), DeviceSpeed.assumed(backend.name())), moments, line -> {}, lossScale);
    }

    private Trainer(Backend backend, BertConfig config, Parameters parameters, Head head, Hyperparameters hyper, long scheduledSteps,
            PassPlanner planner, Dtype moments, Consumer<String> note, LossScale lossScale) {
        this.hyper = hyper;
        this.lossScale = lossScale;
        this.scheduledSteps = scheduledSteps;
        this.head = head;
        BertConfig used = hyper.dropout() == null ? config : config.withDropout(hyper.dropout());
        Gradients madeGradients = Retry.once(() -> new Gradients(backend, new TrainedPart(parameters.table(), hyper.layerRates().frozenLevels())), note);
        AdamW madeOptimizer = null;
        try {
            madeOptimizer = Retry.once(() -> new AdamW(backend, parameters, madeGradients, moments, hyper,
                    parameter -> hyper.layerRates().scale(parameter, config.numHiddenLayers())), note);
            planned = new PlannedModel(backend, used, parameters, madeGradients, head, planner, note);
            prepare();
        } catch (RuntimeException e) { // no memory: what was taken goes back
            if (madeOptimizer != null) {
                madeOptimizer.close();
            }
            madeGradients.close();
            throw e;
        }
        gradients = madeGradients;
        optimizer = madeOptimizer;
    }

    private void prepare() {
        while (true) {
            try {
                planned.get();
                return;
            } catch (OutOfDeviceMemory e) {
                planned.recover(e, "the start");
            }
        }
    }

    /** What a trainer holds whatever the batches are, the weights not counted; {@code moments}: what AdamW's are kept in. */
    public static MemoryPlan memory(TrainedPart part, Dtype moments) {
        return new MemoryPlan().add("gradients", Gradients.plannedBytes(part)).add(AdamW.memory(part, moments));
    }

    /** What a step did; see {@link TrainingListener.Step}. */
    public record Result(double loss, double gradNorm, double lr, double lossScale) {
        /** Whether the gradient was not finite, so that no weight was changed. */
        public boolean skipped() {
            return Double.isNaN(gradNorm);
        }
    }

    /**
     * One optimizer step on one batch. A loss that is not a number ends the run: no later step could mend it. A skipped step
     * is a step of the schedule and of dropout all the same, so that a run of so many steps ends at the rate that was asked for.
     */
    public Result step(PackedBatch batch) {
        double lr = hyper.lr(steps, scheduledSteps);
        double[] normalisers = head.normalisers(batch);
        float[] scales = new float[normalisers.length];
        for (int k = 0; k < scales.length; k++) {
            scales[k] = normalisers[k] == 0 ? 0 : (float) (lossScale.value() / normalisers[k]); // a term that nothing in the batch has a label for
        }
        double[] sums = gradients(batch, scales);
        optimizer.step(lr, lossScale.value());
        steps++;
        double loss = Head.loss(sums, normalisers);
        if (Double.isNaN(loss)) {
            throw new WarpBertException("the loss is not a number at step " + steps + "; a lower --lr may help (it was " + lr + ")");
        }
        Result result = new Result(loss, optimizer.finish(), lr, lossScale.value());
        lossScale.update(!result.skipped(), steps);
        return result;
    }

    /** The summed losses of a batch, its gradient left in the gradients. Nothing is changed before that is whole. */
    private double[] gradients(PackedBatch batch, float[] scales) {
        while (true) {
            try {
                double[] sums = accumulate(batch, scales);
                planned.done();
                return sums;
            } catch (OutOfDeviceMemory e) {
                planned.recover(e, "step " + (steps + 1));
            }
        }
    }

    private double[] accumulate(PackedBatch batch, float[] scales) {
        BertModel model = planned.get();
        double[] sums = new double[scales.length];
        boolean accumulate = false;
        for (PackedBatch part : MicroBatches.of(batch, planned.choice().microBatch())) {
            model.forward(part, hyper.seed(), steps);
            model.backward(scales, accumulate);
            accumulate = true;
            double[] losses = head.lossSums();
            for (int k = 0; k < sums.length; k++) {
                sums[k] += losses[k];
            }
        }
        return sums;
    }

    /** How the batches are computed now. */
    public BatchPlanner.Choice choice() {
        return planned.choice();
    }

    /** Gives the activations' memory back until the next step. */
    public void release() {
        planned.release();
    }

    /** Gradients of the last step, before clipping. */
    public Gradients gradients() {
        return gradients;
    }

    @Override
    public void close() {
        planned.close();
        optimizer.close();
        gradients.close();
    }
}
