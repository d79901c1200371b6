package org.warpbert.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Cuts an effective batch into as few micro-batches as a capacity allows, about even in tokens: the longest example first,
 * each to the emptiest micro-batch that has room for it (LPT, Graham 1969). No example is split.
 */
public final class MicroBatches {
    private MicroBatches() {}

    /** The micro-batches of a batch, each no larger than {@code most}; the batch itself where it is no larger. */
    public static List<PackedBatch> of(PackedBatch batch, Capacity most) {
        if (most.holds(batch)) {
            return List.of(batch);
        }
        return cut(sizes(batch), most).stream().map(batch::select).toList();
    }

    /** The examples of a batch from {@code first} on, in order, as many as fit, though at least one. */
    public static PackedBatch from(PackedBatch batch, int first, Capacity most) {
        if (first == 0 && most.holds(batch)) {
            return batch;
        }
        Capacity[] examples = sizes(batch);
        Capacity sum = examples[first];
        int end = first + 1;
        while (end < examples.length && most.holds(sum.plus(examples[end]))) {
            sum = sum.plus(examples[end++]);
        }
        return batch.slice(first, end);
    }

    /** Which examples of these sizes go together, ascending; an example that no micro-batch can hold gets one to itself. */
    static List<int[]> cut(Capacity[] examples, Capacity most) {
        Integer[] longestFirst = new Integer[examples.length];
        Arrays.setAll(longestFirst, i -> i);
        Arrays.sort(longestFirst, Comparator.comparingInt((Integer i) -> examples[i].tokens()).reversed());
        long tokens = Arrays.stream(examples).mapToLong(Capacity::tokens).sum();
        for (int parts = (int) Math.min(examples.length, Math.max(1, (tokens + most.tokens() - 1) / most.tokens()));; parts++) {
            List<int[]> cut = cut(examples, most, longestFirst, parts);
            if (cut != null) {
                return cut;
            }
        }
    }

    /** The cut into so many parts, or null where an example finds no room. */
    private static List<int[]> cut(Capacity[] examples, Capacity most, Integer[] order, int parts) {
        Capacity[] sums = new Capacity[parts];
        Arrays.fill(sums, Capacity.NONE);
        int[] place = new int[examples.length];
        for (int example : order) {
            int best = -1;
            for (int part = 0; part < parts; part++) {
                boolean room = sums[part].tokens() == 0 || most.holds(sums[part].plus(examples[example]));
                if (room && (best < 0 || sums[part].tokens() < sums[best].tokens())) {
                    best = part;
                }
            }
            if (best < 0) {
                return null;
            }
            sums[best] = sums[best].plus(examples[example]);
            place[example] = best;
        }
        List<int[]> cut = new ArrayList<>(parts);
        for (int part = 0; part < parts; part++) {
            int chosen = part;
            cut.add(IntStream.range(0, place.length).filter(e -> place[e] == chosen).toArray());
        }
        return cut;
    }

    /** The size of each example of a batch. */
    static Capacity[] sizes(PackedBatch batch) {
        Capacity[] sizes = new Capacity[batch.examples()];
        int labelled = 0;
        for (int e = 0; e < sizes.length; e++) {
            int from = batch.cuExamples()[e];
            int to = batch.cuExamples()[e + 1];
            int first = labelled;
            while (labelled < batch.labelledRows().length && batch.labelledRows()[labelled] < batch.cuSeqlens()[to]) {
                labelled++;
            }
            sizes[e] = new Capacity(batch.cuSeqlens()[to] - batch.cuSeqlens()[from], to - from, 1, batch.labelWidth(), labelled - first);
        }
        return sizes;
    }
}
