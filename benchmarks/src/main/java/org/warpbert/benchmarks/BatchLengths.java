package org.warpbert.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/** The lengths of a batch's sequences, as both engines' programs take them. */
final class BatchLengths {
    private BatchLengths() {}

    /** From a file of a number a line (# starts a comment line), or {@code fixed:N}: {@code batchSize} times N. */
    static int[] read(String source, int batchSize) throws IOException {
        if (source.startsWith("fixed:")) {
            int[] lengths = new int[batchSize];
            Arrays.fill(lengths, Integer.parseInt(source.substring("fixed:".length())));
            return lengths;
        }
        return Files.readAllLines(Path.of(source)).stream().map(String::strip)
                .filter(line -> !line.isEmpty() && !line.startsWith("#")).mapToInt(Integer::parseInt).toArray();
    }
}
