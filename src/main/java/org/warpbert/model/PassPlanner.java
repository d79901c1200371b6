package org.warpbert.model;

import java.util.List;
import org.warpbert.memory.BatchPlanner;
import org.warpbert.memory.BatchPlanner.Choice;
import org.warpbert.memory.ByteSize;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.memory.Recompute;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.Capacity;

/** Plans the passes of one model over batches of known sizes. */
public final class PassPlanner {
    private static final int SHORTEST = 3; // [CLS], a token, [SEP]
    private static final int ROUND = 8; // lengths are advised in multiples of this

    private final BatchPlanner planner;
    private final PassPlan like;

    /**
     * @param head   which planning takes from the model that it stands on: to be asked while there is none
     * @param like   what is planned, but for capacity and recomputation
     * @param device "cpu", "cuda" or "simt"
     */
    public PassPlanner(BertConfig config, ParameterTable table, Head head, PassPlan like, BatchSizes batches, String device, DeviceSpeed speed) {
        this.like = like;
        Capacity example = batches.largestExample();
        int read = head.outputRows().count(example.tokens(), example.labelled(), example.sequences());
        StepCost cost = new StepCost(config, table, like, (double) example.tokens() / example.sequences(), (double) read / example.tokens(), speed);
        this.planner = new BatchPlanner(batches, like.training() ? List.of(Recompute.values()) : List.of(Recompute.NONE),
                (capacity, recompute) -> BertModel.plannedBytes(config, head, plan(capacity, recompute), device), cost);
    }

    /** The fastest way in so many bytes, or null: there is none. */
    public Choice choose(long available) {
        return planner.choose(available);
    }

    /** What a model is made to for this choice. */
    public PassPlan plan(Choice choice) {
        return plan(choice.microBatch(), choice.recompute());
    }

    private PassPlan plan(Capacity microBatch, Recompute recompute) {
        return microBatch.holds(largest()) ? like.withWhole(microBatch, recompute) : like.with(microBatch, recompute);
    }

    /** The most that any batch holds. */
    public Capacity largest() {
        return planner.batches().largest();
    }

    /** The way of the fewest bytes in which the batches can be computed. */
    public Choice least() {
        return planner.least();
    }

    /**
     * The smallest change that makes the batches fit where nothing does: options, with the bytes that the run would then take.
     *
     * @param available bytes for the passes
     * @param rest      bytes of all else that the run holds
     * @param overhead  bytes of the process besides
     */
    public String suggestion(long available, long rest, long overhead) {
        int longest = longest(available);
        String memory = "more memory (--memory " + ByteSize.option(planner.least().bytes() + rest + overhead) + ")";
        if (longest < SHORTEST) {
            return memory;
        }
        int advised = longest > ROUND ? longest / ROUND * ROUND : longest;
        Capacity example = planner.batches().largestExample();
        return "shorter sequences (--max-length " + advised + ": " + ByteSize.format(planner.leastBytes(advised * example.sequences()) + rest) + "), or " + memory;
    }

    /** The longest sequences that an example could have. */
    private int longest(long available) {
        Capacity example = planner.batches().largestExample();
        int fits = 0;
        int most = example.tokens() / example.sequences();
        while (fits < most) {
            int middle = fits + (most - fits + 1) / 2;
            if (planner.leastBytes(middle * example.sequences()) <= available) {
                fits = middle;
            } else {
                most = middle - 1;
            }
        }
        return fits;
    }
}
