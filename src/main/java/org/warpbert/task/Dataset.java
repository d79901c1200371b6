package org.warpbert.task;

import java.nio.file.Path;
import java.util.List;
import org.warpbert.text.BatchOrder;

/** Labelled examples of a file, as a {@link Task} reads them. */
public interface Dataset {
    Path file();

    /** Number of examples. */
    int size();

    /** The examples with these numbers, in that order: a split or a sample. */
    Dataset select(int[] rows);

    /** Random rows to learn from and to judge by; see {@link BatchOrder#split}. */
    default BatchOrder.Split split(double share, long seed) {
        return BatchOrder.split(size(), share, seed);
    }

    /** Examples of the file that were left out, and are not counted. */
    int skipped();

    /** What a user should know of the reading: rows left out, and why. */
    List<String> notes();
}
