package org.warpbert.train;

import java.io.DataInput;
import java.io.IOException;
import java.io.OutputStream;
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
 * A step leaves no garbage, unless its batch is cut into micro-batches, or its result is asked for as a record.
 */
public final class Trainer implements AutoCloseable {
    private static final int TURNS = 2; // the step under way, or last told of, and the one that is being asked for

    private final Backend backend;
    private final Hyperparameters hyper;
    private final long scheduledSteps;
    private final Head head;
    private final Gradients gradients;
    private final AdamW optimizer;
    private final PlannedModel planned;
    private final LossScale lossScale;
    private final Dtype moments;
    private final Consumer<String> note;
    private final PendingStep[] turns;
    private PendingStep pending; // or null: no step is under way
    private PendingStep told; // the last that was waited for
    private boolean untold; // though the caller has not heard of it
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
        this.moments = moments;
        this.note = note;
        this.scheduledSteps = scheduledSteps;
        this.head = head;
        BertConfig used = hyper.dropout() == null ? config : config.withDropout(hyper.dropout());
        Gradients madeGradients = Retry.once(() -> new Gradients(backend, new TrainedPart(parameters.table(), hyper.layerRates().frozenLevels())), note);
        AdamW madeOptimizer = null;
        PlannedModel madeModel = null;
        turns = new PendingStep[TURNS];
        try {
            madeOptimizer = Retry.once(() -> new AdamW(backend, parameters, madeGradients, moments, hyper,
                    parameter -> hyper.layerRates().scale(parameter, config.numHiddenLayers())), note);
            for (int i = 0; i < TURNS; i++) {
                turns[i] = Retry.once(() -> new PendingStep(backend, head, planner.largest()), note);
            }
            madeModel = new PlannedModel(backend, used, parameters, madeGradients, head, planner, note);
            prepare(madeModel);
        } catch (RuntimeException e) { // no memory: what was taken goes back
            closeTurns();
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

    private void closeTurns() {
        for (PendingStep step : turns) {
            if (step != null) {
                step.close();
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
                .addHost("read_back", TURNS * (long) PendingStep.bytes(largest));
    }

    /** What a step did; see {@link TrainingListener.Step}. */
    public record Result(double loss, double gradNorm, double lr, double lossScale, int tokens) {
        /** Whether the gradient was not finite, so that no weight was changed. */
        public boolean skipped() {
            return Double.isNaN(gradNorm);
        }
    }

    /** One step: {@link #submit} and {@link #finish}, of which none may be open. @return its loss; {@link #result} says the rest */
    public double step(PackedBatch batch) {
        submit(batch);
        finish();
        return told.loss();
    }

    /**
     * Asks the device for one optimizer step on one batch. Where the device works while the host goes on, the step is still
     * under way when this returns, and {@link #result} is that of the step before, if there is one; on a CPU it is this one's.
     * {@link #finish} gives the last.
     *
     * <p>A loss that is not a number ends the run: no later step could mend it. A skipped step is a step of the schedule and of
     * dropout all the same, so that a run of so many steps ends at the rate that was asked for.
     *
     * @return whether {@link #result} is a step's that was not told before
     */
    public boolean submit(PackedBatch batch) {
        PendingStep step = turns[(int) (steps % TURNS)];
        step.begin(batch, steps + 1, hyper.lr(steps, scheduledSteps));
        gradients(batch, step);
        settle(); // the device has all of this step's gradient before it; bias correction depends on what the last step did
        optimizer.step(step.lr(), step.lossScale());
        step.end(optimizer.stats());
        steps++;
        pending = step;
        if (!backend.asynchronous()) {
            settle();
        }
        return news();
    }

    /** Waits for the last step. @return whether {@link #result} is its, and was not told before */
    public boolean finish() {
        settle();
        return news();
    }

    /** What the last step did that was waited for, as a record to keep; null before the first. */
    public Result result() {
        return told == null ? null : told.result();
    }

    private boolean news() {
        boolean is = untold;
        untold = false;
        return is;
    }

    /** Reads what the step under way did, if there is one. */
    private void settle() {
        if (pending == null) {
            return;
        }
        PendingStep step = pending;
        pending = null;
        step.await();
        told = step;
        untold = true;
        if (!step.skipped()) {
            optimizer.stepped();
        }
        lossScale.update(!step.skipped(), step.number());
    }

    /** A batch's gradient, left in the gradients. Nothing is changed before that is whole. */
    private void gradients(PackedBatch batch, PendingStep step) {
        while (true) {
            try {
                accumulate(batch, step);
                planned.done();
                return;
            } catch (OutOfDeviceMemory e) {
                planned.recover(e, "step " + (steps + 1));
            }
        }
    }

    private void accumulate(PackedBatch batch, PendingStep step) {
        BertModel model = planned.get();
        step.readBack().begin(batch);
        Capacity most = planned.choice().microBatch();
        if (most.holds(batch)) {
            add(model, batch, step, true);
            return;
        }
        model = planned.getForParts();
        boolean first = true;
        for (PackedBatch part : MicroBatches.of(batch, most)) { // copies: alone in a step, these are garbage
            add(model, part, step, first);
            first = false;
        }
    }

    private void add(BertModel model, PackedBatch part, PendingStep step, boolean first) {
        model.forward(part, hyper.seed(), steps);
        if (lossScale.isDynamic()) {
            settle(); // it waits for the last step, while the device has this one's forward to do
        }
        model.backward(step.scales(lossScale.value()), !first);
        step.readBack().add(head.lossTerms());
    }

    /**
     * What the steps to come depend on, beside the weights and {@link #writeMoments}: a trainer of the same run that is given all three
     * goes on as this one would have.
     *
     * @param steps     taken
     * @param updates   those of them that changed the weights
     * @param lossScale of the next step
     * @param goodSteps since that changed
     * @param moments   what AdamW's are kept in
     * @param choice    how batches are computed: sums over other parts round otherwise
     */
    public record State(long steps, long updates, float lossScale, int goodSteps, Dtype moments, BatchPlanner.Choice choice) {}

    /** After {@link #finish}. */
    public State state() {
        return new State(steps, optimizer.taken(), lossScale.value(), lossScale.good(), moments, planned.choice());
    }

    /** Writes AdamW's moments as they are kept, and which words have any; after {@link #finish}. */
    public void writeMoments(OutputStream to) throws IOException {
        optimizer.write(to);
    }

    /** Before the first step: goes on from there. */
    public void restore(State state, DataInput savedMoments) throws IOException {
        if (state.moments != moments) {
            throw new WarpBertException("the stopped run kept its moments in " + state.moments + ", the memory that is free now asks for " + moments
                    + "; another limit of memory (--memory) chooses otherwise");
        }
        optimizer.read(savedMoments, state.updates);
        lossScale.restore(state.lossScale, state.goodSteps);
        steps = state.steps;
        if (!state.choice.sameWay(planned.choice())) {
            String before = "micro-batches of at most " + state.choice.microBatch().tokens() + " tokens, recomputing " + state.choice.recompute();
            note.accept(planned.choose(state.choice) ? "going on with " + before + ", as the stopped run had them"
                    : "the stopped run had " + before + ", for which there is no room now: results may differ in their last bits");
        }
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
        closeTurns();
        planned.close();
        optimizer.close();
        gradients.close();
    }
}
