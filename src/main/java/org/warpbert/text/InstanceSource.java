package org.warpbert.text;

import java.util.List;

/** What a {@link BatchLoader} makes batches of: numbered examples and how they become sequences of tokens. */
public interface InstanceSource {
    /** Number of examples. */
    int size();

    /** Tokenises examples; called once for each, on the loader's thread or its owner's. */
    List<Instance> encode(int[] rows);

    /**
     * What an epoch makes of an example: itself, unless the task draws anew each time (masking). A function of its
     * arguments; tokens, labels and labelled tokens stay as many as they were.
     */
    default Instance draw(Instance instance, int row, int epoch) {
        return instance;
    }
}
