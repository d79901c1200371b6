package org.warpbert.benchmarks;

import java.util.Map;

/** One way to do a {@link Job}, ready: everything is loaded and allocated. */
interface Engine extends AutoCloseable {
    /** Does the work once, all of it. */
    void run() throws Exception;

    /**
     * What came of the last run, to show that engines do the same: the first values of the first token's last hidden
     * state; of training, the loss.
     */
    double[] result() throws Exception;

    /** Library, version and settings. */
    Map<String, Object> about() throws Exception;

    @Override
    void close() throws Exception;
}
