package org.warpbert.train;

import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.model.BertConfig;
import org.warpbert.model.BertModel;
import org.warpbert.model.Gradients;
import org.warpbert.model.Head;
import org.warpbert.model.Parameters;
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
    private long steps;

    /**
     * @param scheduledSteps steps of all epochs, over which the linear schedule falls unless {@code totalSteps} says other
     * @param maxTokens      tokens of the largest batch to come
     */
    public Trainer(Backend backend, BertConfig config, Parameters parameters, Head head, Hyperparameters hyper,
            long scheduledSteps, int maxTokens, int maxSequences) {
        this.hyper = hyper;
        this.scheduledSteps = scheduledSteps;
        this.head = head;
        BertConfig used = hyper.dropout() == null ? config : config.withDropout(hyper.dropout());
        Gradients madeGradients = new Gradients(backend, parameters.table());
        AdamW madeOptimizer = null;
        try {
            madeOptimizer = new AdamW(backend, parameters, madeGradients, hyper.weightDecay(), hyper.clip());
            model = new BertModel(backend, used, parameters, madeGradients, head, maxTokens, maxSequences);
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
    public static long plannedBytes(BertConfig config, Parameters parameters, Head head, int maxTokens, int maxSequences) {
        return parameters.table().size() * Float.BYTES + AdamW.plannedBytes(parameters.table())
                + BertModel.plannedBytes(config, head, maxTokens, maxSequences, true);
    }

    /** What a step did; see {@link TrainingListener.Step}. */
    public record Result(double loss, double gradNorm, double lr) {}

    /** One optimizer step on one batch. A loss that is not a number ends the run: no later step could mend it. */
    public Result step(PackedBatch batch) {
        double lr = hyper.lr(steps, scheduledSteps);
        model.forward(batch, hyper.seed(), steps);
        model.backward(1f / batch.sequences(), false);
        optimizer.step(lr);
        steps++;
        double loss = sum(head.losses()) / batch.sequences();
        if (Double.isNaN(loss)) {
            throw new WarpBertException("the loss is not a number at step " + steps + "; a lower --lr may help (it was " + lr + ")");
        }
        return new Result(loss, optimizer.gradientNorm(), lr);
    }

    /** Gradients of the last step, before clipping. */
    public Gradients gradients() {
        return gradients;
    }

    static double sum(float[] values) {
        double sum = 0;
        for (float value : values) {
            sum += value;
        }
        return sum;
    }

    @Override
    public void close() {
        model.close();
        optimizer.close();
        gradients.close();
    }
}
