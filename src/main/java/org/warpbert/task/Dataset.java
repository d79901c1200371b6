package org.warpbert.task;

import java.nio.file.Path;
import java.util.List;

/** Labelled examples of a file, as a {@link Task} reads them. */
public interface Dataset {
    Path file();

    /** Number of examples. */
    int size();

    /** The examples with these numbers, in that order: a split or a sample. */
    Dataset select(int[] rows);

    /** Examples of the file that were left out, and are not counted. */
    int skipped();

    /** What a user should know of the reading: rows left out, and why. */
    List<String> notes();
}
