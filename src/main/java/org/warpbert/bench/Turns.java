package org.warpbert.bench;

import java.io.BufferedReader;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import org.warpbert.train.RunFolder;

/**
 * An engine's side of a contest, over lines: several engines, each in a process of its own, do the same work in turns. When it is
 * ready it says {@code ready}; for each line {@code run N} it does its work N times and answers the nanoseconds of them all; at
 * another line, or the end of its input, it answers what it is, as JSON, and has ended.
 */
public final class Turns {
    private static final String RUN = "run ";

    private Turns() {}

    /** What is done at a turn. */
    @FunctionalInterface
    public interface Work {
        /** Does the work so many times, and returns when the last of it is done. */
        void run(int times) throws Exception;
    }

    /**
     * Takes turns until there are no more.
     *
     * @param answers takes each line, which must be on its way when it returns
     * @param about   what the engine is and what came of its work, asked for at the end
     */
    public static void take(BufferedReader orders, Consumer<String> answers, Work work, Callable<Map<String, Object>> about) throws Exception {
        answers.accept("ready");
        for (String order = orders.readLine(); order != null && order.startsWith(RUN); order = orders.readLine()) {
            int times = Integer.parseInt(order.substring(RUN.length()));
            long start = System.nanoTime();
            work.run(times);
            answers.accept(Long.toString(System.nanoTime() - start));
        }
        answers.accept(RunFolder.JSON.writeValueAsString(about.call()));
    }
}
