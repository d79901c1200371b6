package org.warpbert.train;

import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.model.BertConfig;
import org.warpbert.model.BertModel;
import org.warpbert.model.Gradients;
import org.warpbert.model.Head;
import org.warpbert.model.Parameters;
import org.warpbert.model.PassPlan;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/**
 * Training steps: forward, backward, clip, update. Owns gradients, optimizer state and activations, all allocated
 * before the first step.
 */
public final class Trainer implements AutoCloseable {
    private final Hyperparameters hyper;
    private final long scheduledSteps;
    private final Head head;
    private final Gradients gradients;
    private final AdamW optimizer;
    private final BertModel model;
    private final LossScale lossScale;
    private long steps;

    /**
     * @param scheduledSteps steps of all epochs, over which the linear schedule falls unless {@code totalSteps} says other
     * @param capacity       of the largest batch to come
     */
    public Trainer(Backend backend, BertConfig config, Parameters parameters, Head head, Hyperparameters hyper,
            long scheduledSteps, Capacity capacity) {
        this(backend, config, parameters, head, hyper, scheduledSteps, capacity, LossScale.of(parameters.dtype()));
    }

    Trainer(Backend backend, BertConfig config, Parameters parameters, Head head, Hyperparameters hyper, long scheduledSteps,
            Capacity capacity, LossScale lossScale) {
        this.hyper = hyper;
        this.lossScale = lossScale;
        this.scheduledSteps = scheduledSteps;
        this.head = head;
        BertConfig used = hyper.dropout() == null ? config : config.withDropout(hyper.dropout());
        Gradients madeGradients = new Gradients(backend, parameters.table());
        AdamW madeOptimizer = null;
        try {
            madeOptimizer = new AdamW(backend, parameters, madeGradients, hyper.weightDecay(), hyper.clip());
            model = new BertModel(backend, used, parameters, madeGradients, head, capacity);
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

    /** Bytes that a trainer of these sizes allocates, the weights not counted. */
    public static long plannedBytes(BertConfig config, Parameters parameters, Head head, Capacity capacity) {
        return parameters.table().size() * Float.BYTES + AdamW.plannedBytes(parameters.table())
                + BertModel.plannedBytes(config, head, new PassPlan(capacity, parameters.dtype(), true));
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
        model.forward(batch, hyper.seed(), steps);
        double[] normalisers = head.normalisers(batch);
        float[] scales = new float[normalisers.length];
        for (int k = 0; k < scales.length; k++) {
            scales[k] = normalisers[k] == 0 ? 0 : (float) (lossScale.value() / normalisers[k]); // a term that nothing in the batch has a label for
        }
        model.backward(scales, false);
        optimizer.step(lr, lossScale.value());
        steps++;
        double loss = Head.loss(head.lossSums(), normalisers);
        if (Double.isNaN(loss)) {
            throw new WarpBertException("the loss is not a number at step " + steps + "; a lower --lr may help (it was " + lr + ")");
        }
        Result result = new Result(loss, optimizer.finish(), lr, lossScale.value());
        lossScale.update(!result.skipped(), steps);
        return result;
    }

    /** Gradients of the last step, before clipping, times its loss scale. */
    public Gradients gradients() {
        return gradients;
    }

    @Override
    public void close() {
        model.close();
        optimizer.close();
        gradients.close();
    }
}
