package org.warpbert.train;

import java.util.List;
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
 * The host runs a step ahead of a device that works while it goes on: it waits for nothing but a step's result, and for that
 * when the next step's gradient is on its way (with a dynamic loss scale, its forward). Results are those of step by step.
 */
public final class Trainer implements AutoCloseable {
    private static final int READ_BACKS = 2; // of the step under way, and of the one that is being asked for

    private final Backend backend;
    private final Hyperparameters hyper;
    private final long scheduledSteps;
    private final Head head;
    private final Gradients gradients;
    private final AdamW optimizer;
    private final PlannedModel planned;
    private final LossScale lossScale;
    private final ReadBack[] readBacks; // in turn
    private Pending pending;
    private Result settled; // not told yet
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
                PassPlan.training(parameters.dtype(), hyper.layerRates().frozenLevels(), backend.name()), BatchSizes.worst(capacity, 1), backend.name(),
                DeviceSpeed.assumed(backend.name())), moments, line -> {}, lossScale);
    }

    Trainer(Backend backend, BertConfig config, Parameters parameters, Head head, Hyperparameters hyper, long scheduledSteps,
            PassPlanner planner, Dtype moments, Consumer<String> note, LossScale lossScale) {
        this.backend = backend;
        this.hyper = hyper;
        this.lossScale = lossScale;
        this.scheduledSteps = scheduledSteps;
        this.head = head;
        BertConfig used = hyper.dropout() == null ? config : config.withDropout(hyper.dropout());
        Gradients madeGradients = Retry.once(() -> new Gradients(backend, new TrainedPart(parameters.table(), hyper.layerRates().frozenLevels())), note);
        AdamW madeOptimizer = null;
        PlannedModel madeModel = null;
        readBacks = new ReadBack[READ_BACKS];
        try {
            madeOptimizer = Retry.once(() -> new AdamW(backend, parameters, madeGradients, moments, hyper,
                    parameter -> hyper.layerRates().scale(parameter, config.numHiddenLayers())), note);
            for (int i = 0; i < READ_BACKS; i++) {
                readBacks[i] = Retry.once(() -> new ReadBack(backend, planner.largest()), note);
            }
            madeModel = new PlannedModel(backend, used, parameters, madeGradients, head, planner, note);
            prepare(madeModel);
        } catch (RuntimeException e) { // no memory: what was taken goes back
            closeReadBacks();
            if (madeModel != null) {
                madeModel.close();
            }
            if (madeOptimizer != null) {
                madeOptimizer.close();
            }
            madeGradients.close();
            throw e;
        }
        gradients = madeGradients;
        optimizer = madeOptimizer;
        planned = madeModel;
    }

    private void closeReadBacks() {
        for (ReadBack readBack : readBacks) {
            if (readBack != null) {
                readBack.close();
            }
        }
    }

    private static void prepare(PlannedModel planned) {
        while (true) {
            try {
                planned.get();
                return;
            } catch (OutOfDeviceMemory e) {
                planned.recover(e, "the start");
            }
        }
    }

    /**
     * What a trainer holds beside the passes, the weights not counted.
     *
     * @param moments what AdamW's are kept in
     * @param largest the most that a batch to come holds
     */
    public static MemoryPlan memory(TrainedPart part, Dtype moments, Capacity largest) {
        return new MemoryPlan().add("gradients", Gradients.plannedBytes(part)).add(AdamW.memory(part, moments))
                .addHost("read_back", READ_BACKS * (long) ReadBack.bytes(largest));
    }

    /** What a step did; see {@link TrainingListener.Step}. */
    public record Result(double loss, double gradNorm, double lr, double lossScale, int tokens) {
        /** Whether the gradient was not finite, so that no weight was changed. */
        public boolean skipped() {
            return Double.isNaN(gradNorm);
        }
    }

    /** A step that is under way, whose result was not read yet; {@code step} is 1 for the first. */
    private record Pending(ReadBack readBack, double[] normalisers, double lr, float lossScale, long step, int tokens) {}

    /** One step and its result: {@link #submit} and {@link #finish}, of which none may be open. */
    public Result step(PackedBatch batch) {
        Result result = submit(batch);
        return pending == null ? result : finish();
    }

    /**
     * Asks the device for one optimizer step on one batch. Where the device works while the host goes on, the step is still
     * under way when this returns, and the result is that of the step before, or null at the first; on a CPU it is this one's.
     * {@link #finish} gives the last.
     *
     * <p>A loss that is not a number ends the run: no later step could mend it. A skipped step is a step of the schedule and of
     * dropout all the same, so that a run of so many steps ends at the rate that was asked for.
     */
    public Result submit(PackedBatch batch) {
        double lr = hyper.lr(steps, scheduledSteps);
        double[] normalisers = head.normalisers(batch);
        ReadBack readBack = readBacks[(int) (steps % READ_BACKS)];
        gradients(batch, normalisers, readBack);
        settle(); // the device has all of this step's gradient before it; bias correction depends on what the last step did
        optimizer.step(lr, lossScale.value());
        readBack.end(optimizer.stats());
        steps++;
        pending = new Pending(readBack, normalisers, lr, lossScale.value(), steps, batch.totalTokens());
        if (!backend.asynchronous()) {
            settle();
        }
        return takeSettled();
    }

    /** Waits for the last step. @return its result, or null where that was told before */
    public Result finish() {
        settle();
        return takeSettled();
    }

    private Result takeSettled() {
        Result result = settled;
        settled = null;
        return result;
    }

    /** Reads what the step under way did, if there is one. */
    private void settle() {
        if (pending == null) {
            return;
        }
        Pending step = pending;
        pending = null;
        double loss = Head.loss(step.readBack.sums(step.normalisers.length), step.normalisers);
        if (Double.isNaN(loss)) {
            throw new WarpBertException("the loss is not a number at step " + step.step + "; a lower --lr may help (it was " + step.lr + ")");
        }
        settled = new Result(loss, step.readBack.gradNorm(), step.lr, step.lossScale, step.tokens);
        if (!settled.skipped()) {
            optimizer.stepped();
        }
        lossScale.update(!settled.skipped(), step.step);
    }

    /** A batch's gradient, left in the gradients. Nothing is changed before that is whole. */
    private void gradients(PackedBatch batch, double[] normalisers, ReadBack readBack) {
        while (true) {
            try {
                accumulate(batch, normalisers, readBack);
                planned.done();
                return;
            } catch (OutOfDeviceMemory e) {
                planned.recover(e, "step " + (steps + 1));
            }
        }
    }

    private void accumulate(PackedBatch batch, double[] normalisers, ReadBack readBack) {
        BertModel model = planned.get();
        readBack.begin(batch);
        float[] scales = null;
        List<PackedBatch> parts = MicroBatches.of(batch, planned.choice().microBatch());
        if (parts.size() > 1) {
            model = planned.getForParts();
        }
        for (PackedBatch part : parts) {
            model.forward(part, hyper.seed(), steps);
            boolean first = scales == null;
            if (first) {
                scales = scales(normalisers);
            }
            model.backward(scales, !first);
            readBack.add(head.lossTerms());
        }
    }

    /** Factors of the terms' gradients. A dynamic loss scale waits for the last step, while the device has this one's forward to do. */
    private float[] scales(double[] normalisers) {
        if (lossScale.isDynamic()) {
            settle();
        }
        float[] scales = new float[normalisers.length];
        for (int k = 0; k < scales.length; k++) {
            scales[k] = normalisers[k] == 0 ? 0 : (float) (lossScale.value() / normalisers[k]); // a term that nothing in the batch has a label for
        }
        return scales;
    }

    /** How the batches are computed now. */
    public BatchPlanner.Choice choice() {
        return planned.choice();
    }

    /** Graphs that steps are launched as now: see {@link BertModel#graphs}. */
    public int graphs() {
        return planned.graphs();
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
        closeReadBacks();
        planned.close();
        optimizer.close();
        gradients.close();
    }
}
