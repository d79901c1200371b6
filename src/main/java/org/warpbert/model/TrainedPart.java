package org.warpbert.model;

import java.util.ArrayList;
import java.util.List;

/**
 * What of a model's flat buffers is trained: all but the levels from below that are frozen, as runs of neighbours. Gradients and
 * moments hold these alone, one run behind the other, with the gaps between parameters.
 */
public final class TrainedPart {
    /**
     * Neighbours that are trained.
     *
     * @param from  the first one's place in the flat buffers, in elements
     * @param count elements, gaps included
     * @param at    the first one's place among what is trained
     */
    public record Run(long from, long count, long at) {
        long end() {
            return from + count;
        }
    }

    private final ParameterTable table;
    private final int frozenLevels;
    private final List<Run> runs = new ArrayList<>();
    private final long size;

    /** @param frozenLevels levels from below that are not trained: see {@link ParameterTable.Slice#level} */
    public TrainedPart(ParameterTable table, int frozenLevels) {
        this.table = table;
        this.frozenLevels = frozenLevels;
        long elements = 0;
        long begin = 0;
        for (ParameterTable.Region region : ParameterTable.Region.values()) {
            long from = first(region, begin);
            long end = table.end(region);
            begin = end;
            if (from == end) {
                continue;
            }
            int last = runs.size() - 1;
            if (last >= 0 && runs.get(last).end() == from) {
                runs.set(last, new Run(runs.get(last).from, end - runs.get(last).from, runs.get(last).at));
            } else {
                runs.add(new Run(from, end - from, elements));
            }
            elements += end - from;
        }
        size = elements;
    }

    /** Where a region's trained part begins: a region is in the order of levels. */
    private long first(ParameterTable.Region region, long begin) {
        return frozenLevels == 0 ? begin : table.slices().stream().filter(slice -> slice.region() == region && slice.level() >= frozenLevels)
                .mapToLong(ParameterTable.Slice::offset).findFirst().orElse(table.end(region));
    }

    public ParameterTable table() {
        return table;
    }

    /** Levels from below that are not trained. */
    public int frozenLevels() {
        return frozenLevels;
    }

    /** In the order of the flat buffers. */
    public List<Run> runs() {
        return List.copyOf(runs);
    }

    /** Elements of all runs. */
    public long size() {
        return size;
    }

    /** Elements of the tables and vectors, which stand first. */
    long beforeMatrices() {
        long end = table.matricesFrom();
        return runs.stream().mapToLong(run -> Math.max(0, Math.min(run.end(), end) - run.from)).sum();
    }

    /**
     * Shape [V, H] of the word embeddings where their gradient has rows of a batch's words alone; it stands first then. Null where they
     * are frozen, or decode as well.
     */
    long[] sparseTable() {
        ParameterTable.Slice words = table.slice(ParameterTable.WORDS);
        return place(words) == 0 && table.operandsFrom() > words.offset() ? words.shape() : null;
    }

    /** A parameter's place among what is trained, or -1: it is frozen. */
    long place(ParameterTable.Slice slice) {
        return runs.stream().filter(run -> run.from <= slice.offset() && slice.offset() < run.end())
                .mapToLong(run -> slice.offset() - run.from + run.at).findFirst().orElse(-1);
    }
}
