package org.warpbert.text;

import java.util.Arrays;
import java.util.List;

/** What a {@link BatchLoader} makes batches of: numbered examples and how they become sequences of tokens. */
public interface InstanceSource {
    /** Examples that are encoded already. */
    static InstanceSource of(List<Instance> instances) {
        return new InstanceSource() {
            @Override
            public int size() {
                return instances.size();
            }

            @Override
            public List<Instance> encode(int[] rows) {
                return Arrays.stream(rows).mapToObj(instances::get).toList();
            }
        };
    }

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
