package org.warpbert.train;

import java.util.Locale;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.BatchPlanner.Choice;
import org.warpbert.memory.ByteSize;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.memory.MemoryBudget;
import org.warpbert.memory.MemoryPlan;
import org.warpbert.model.BertConfig;
import org.warpbert.model.BertModel;
import org.warpbert.model.Head;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Parameters;
import org.warpbert.model.PassPlan;
import org.warpbert.model.PassPlanner;
import org.warpbert.model.TrainedPart;
import org.warpbert.model.WeightFormat;
import org.warpbert.text.BatchLoader;
import org.warpbert.text.BatchSizes;

/**
 * Everything that a training run holds on its device, planned before it begins, and how its batches are computed in that.
 * Activations for training are given back while the dev set is judged, so that only the larger of both counts.
 */
public final class TrainingPlan {
    private final MemoryBudget budget;
    private final MemoryPlan memory;
    private final PassPlanner planner;
    private final Way way;
    private String half; // of the suggestion

    /**
     * How the run is computed with moments in a type.
     *
     * @param rest      bytes of all that is held beside the passes
     * @param available bytes for the passes
     * @param choice    of how batches are computed, null where they cannot be
     * @param judged    the same of the dev set, null where there is none
     */
    private record Way(Dtype moments, MemoryPlan whole, long rest, long available, Choice choice, Choice judged) {}

    /**
     * @param head   made for planning
     * @param frozenLevels levels from below that are not trained, see {@link LayerRates}
     * @param dev    what is judged after each epoch, or null
     * @param device "cpu", "cuda" or "simt"
     * @param budget what the run may have
     * @param free   bytes that the device has for it now, once it is open
     */
    public TrainingPlan(BertConfig config, ParameterTable table, Head head, Dtype dtype, int frozenLevels, BatchSizes train, BatchSizes dev, DeviceSpeed speed,
            String device, MemoryBudget budget, long free) {
        this.budget = budget;
        planner = new PassPlanner(config, table, head, PassPlan.training(dtype, frozenLevels, device), train, device, speed);
        PassPlanner judging = dev == null ? null : new PassPlanner(config, table, head, PassPlan.inference(dtype), dev, device, speed);
        TrainedPart part = new TrainedPart(table, frozenLevels);
        Way exact = way(table, part, dtype, Dtype.F32, device, free, judging);
        way = exact.choice != null ? exact : way(table, part, dtype, Dtype.BF16, device, free, judging); // the last resort: it costs precision
        Choice shown = way.choice != null ? way.choice : planner.least();
        memory = way.whole.add(BertModel.memory(config, head, planner.plan(shown))).on(device)
                .addHost("ready_batches", BatchLoader.readyBytes(train.largest())); // of Java's heap: on a CPU the overhead holds them
        if (way.choice == null && dtype == Dtype.F32 && device.equals("cuda")) {
            PassPlanner halved = new PassPlanner(config, table, head, PassPlan.training(Dtype.BF16, frozenLevels, device), train, device, speed);
            long bytes = way.rest + new WeightFormat(Dtype.BF16, true).bytes(table) - new WeightFormat(dtype, true).bytes(table) + halved.least().bytes();
            half = bytes <= way.available + way.rest ? "computing in bf16 (--precision bf16: " + ByteSize.format(bytes) + ")" : null;
        }
        long judges = dev == null ? 0 : (way.choice != null ? way.judged : judging.least()).bytes();
        if (judges > shown.bytes()) {
            memory.add("evaluation", judges - shown.bytes());
        }
    }

    private Way way(ParameterTable table, TrainedPart part, Dtype dtype, Dtype moments, String device, long free, PassPlanner judging) {
        long held = Backends.heldBytes(device);
        MemoryPlan whole = new MemoryPlan();
        if (held > 0) {
            whole.add("products", held);
        }
        whole.add(Parameters.memory(table, new WeightFormat(dtype, true), device)).add(Trainer.memory(part, moments, planner.largest()));
        long rest = whole.on(device).bytes();
        long available = Math.min(budget.own() - held, free) + held - rest;
        Choice judged = judging == null ? null : judging.choose(available);
        Choice choice = judging == null || judged != null ? planner.choose(available) : null;
        return new Way(moments, whole, rest, available, choice, judged);
    }

    public boolean fits() {
        return way.choice != null;
    }

    /** How batches are computed; null where nothing fits. */
    public Choice choice() {
        return way.choice;
    }

    /** What AdamW's moments are kept in: float32, or bfloat16 where nothing else makes the run fit. */
    public Dtype moments() {
        return way.moments;
    }

    /** What is allocated, part by part; where nothing fits, what the smallest way would need. */
    public MemoryPlan memory() {
        return memory;
    }

    public MemoryBudget budget() {
        return budget;
    }

    /** For the trainer, which plans anew where memory is refused. */
    public PassPlanner planner() {
        return planner;
    }

    /** The most that process or device will have taken. */
    public long predictedPeak() {
        return memory.bytes() + budget.overhead();
    }

    /** The smallest change that would fit, in options; null where the run fits. */
    public String suggestion() {
        return fits() ? null : (half == null ? "" : half + ", or ") + planner.suggestion(way.available, way.rest, budget.overhead());
    }

    /** Fails where nothing fits, with the smallest change that would. */
    public void require() {
        if (!fits()) {
            throw new WarpBertException("the run does not fit in " + ByteSize.format(budget.total()) + ": weights, gradients and moments in " + way.moments + " take "
                    + ByteSize.format(way.rest) + ", the smallest pass " + ByteSize.format(memory.bytes() - way.rest) + ", the process "
                    + ByteSize.format(budget.overhead()) + "; what would do: " + suggestion());
        }
    }

    /** One line of how the batches are computed. */
    public String describe() {
        return String.format(Locale.ROOT, "memory: %s of %s planned; micro-batches of at most %,d tokens, up to %d a step, recomputing %s%s",
                ByteSize.format(predictedPeak()), ByteSize.format(budget.total()), way.choice.microBatch().tokens(), way.choice.parts(), way.choice.recompute(),
                way.moments == Dtype.F32 ? "" : "; AdamW's moments in bfloat16, rounded by chance");
    }

    /** What of the plan a run's summary keeps. */
    public record Kept(long budgetBytes, long overheadBytes, long plannedBytes, int microBatchTokens, int accumulationSteps, String recompute,
                       String moments) {}

    /** For the summary. @param used how the run computed its batches in the end, which a refusal or a stop may have made another than planned */
    public Kept kept(Choice used) {
        return new Kept(budget.total(), budget.overhead(), memory.bytes(), used.microBatch().tokens(), used.parts(), used.recompute().toString(),
                way.moments.toString());
    }
}
