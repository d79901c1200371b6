package org.warpbert.model;

import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.OutOfDeviceMemory;
import org.warpbert.memory.BatchPlanner.Choice;
import org.warpbert.memory.ByteSize;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.memory.MemoryBudget;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.MicroBatches;
import org.warpbert.text.PackedBatch;

/**
 * A model whose buffers are planned by what memory there is, made when they are first needed, and given back on demand. Where
 * memory is refused although it was planned (another process took it), {@link #recover} lets go of the buffers and plans
 * anew, and the caller repeats what it was about.
 */
public final class PlannedModel implements AutoCloseable {
    private final Backend backend;
    private final BertConfig config;
    private final Parameters parameters;
    private final Gradients gradients;
    private final Head head;
    private final PassPlanner planner;
    private final Consumer<String> note;
    private Choice choice;
    private boolean failed; // nothing has been done since a refusal
    private BertModel model;
    private LayerObserver observer;
    private boolean inParts;

    /**
     * @param gradients as of {@link BertModel}
     * @param planner   may plan with this same head: it is asked only while there is no model
     * @param note      receives a line when a plan had to be made anew
     */
    public PlannedModel(Backend backend, BertConfig config, Parameters parameters, Gradients gradients, Head head, PassPlanner planner,
            Consumer<String> note) {
        this.backend = backend;
        this.config = config;
        this.parameters = parameters;
        this.gradients = gradients;
        this.head = head;
        this.planner = planner;
        this.note = note;
    }

    /** A model for inference over batches of these sizes, in order. */
    public static PlannedModel inference(Backend backend, BertConfig config, Parameters parameters, Head head, BatchSizes sizes, Consumer<String> note) {
        PassPlanner planner = new PassPlanner(config, parameters.table(), head, PassPlan.inference(parameters.dtype()), sizes,
                backend.name(), DeviceSpeed.assumed(backend.name()));
        return new PlannedModel(backend, config, parameters, null, head, planner, note);
    }

    /** The model, made if it is not there; what {@link OutOfDeviceMemory} it throws is for {@link #recover}. */
    public BertModel get() {
        if (model == null) {
            if (choice == null || choice.bytes() > backend.freeBytes()) {
                choose(backend.freeBytes(), null);
            }
            PassPlan plan = planner.plan(choice);
            model = new BertModel(backend, config, parameters, gradients, head, inParts ? plan.inParts() : plan);
            if (observer != null) {
                model.observe(observer);
            }
        }
        return model;
    }

    /**
     * {@link #get} for a batch that falls into parts. One that is larger than was planned for may do so where all were to be
     * computed whole: then the model is made anew, and takes more than was planned.
     */
    public BertModel getForParts() {
        if (!inParts) {
            inParts = true;
            if (planner.plan(choice).whole()) {
                release();
            }
        }
        return get();
    }

    private void choose(long available, OutOfDeviceMemory cause) {
        choice = planner.choose(available);
        if (choice == null) {
            long rest = backend.allocatedBytes();
            throw new WarpBertException("the model does not fit: a micro-batch of one example takes " + ByteSize.format(planner.least().bytes())
                    + ", and " + ByteSize.format(available) + " are free beside " + ByteSize.format(rest) + " held; what would do: "
                    + planner.suggestion(available, rest, MemoryBudget.overhead(backend)), cause);
        }
    }

    /** From now on computes the batches so, if there is room. @return whether there is */
    public boolean choose(Choice other) {
        release();
        boolean room = other.bytes() <= backend.freeBytes();
        choice = room ? other : choice;
        return room;
    }

    /** How the batches are computed now, or null before the first. */
    public Choice choice() {
        return choice;
    }

    /**
     * Runs a model for inference over a batch, in order, in as many parts as memory makes necessary.
     *
     * @param losses whether the head is to compute losses too
     * @param each   takes what the head says of each part
     */
    public void infer(PackedBatch batch, boolean losses, BiConsumer<BertModel, PackedBatch> each) {
        for (int from = 0; from < batch.examples(); ) {
            PackedBatch part;
            try {
                get();
                part = MicroBatches.from(batch, from, choice.microBatch());
                model.forward(part);
                if (losses) {
                    model.evaluate();
                }
            } catch (OutOfDeviceMemory e) {
                recover(e, "a batch");
                continue;
            }
            done();
            each.accept(model, part);
            from += part.examples();
        }
    }

    /** From now on, this one looks on while the forward runs; over again where a batch has to be. */
    public void observe(LayerObserver newObserver) {
        observer = newObserver;
        if (model != null) {
            model.observe(newObserver);
        }
    }

    /** Graphs that the model holds, 0 where there is none now. */
    public int graphs() {
        return model == null ? 0 : model.graphs();
    }

    /** Gives the buffers back until they are needed again. */
    public void release() {
        if (model != null) {
            model.close();
            model = null;
        }
    }

    /** After a refusal: lets go, plans with what is free, and says so. Where that is refused too, the plan is made a tenth smaller each time. */
    public void recover(OutOfDeviceMemory refusal, String what) {
        release();
        Choice before = choice;
        long free = backend.freeBytes();
        choose(failed && before != null ? Math.min(free, before.bytes() - before.bytes() / 10) : free, refusal);
        failed = true;
        note.accept("out of memory at " + what + ", which is done again with micro-batches of " + choice.microBatch().tokens()
                + " tokens, recomputing " + choice.recompute() + ": " + refusal.getMessage());
    }

    /** What had failed has now been done. */
    public void done() {
        failed = false;
    }

    @Override
    public void close() {
        release();
    }
}
