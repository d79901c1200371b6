package org.warpbert.bench;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * One op at one shape, ready to run.
 *
 * @param name    as in warpbert.h, or {@code gemm_…}, with what tells shapes of it apart
 * @param shape   for the reader
 * @param perStep how often a training step of this model runs it; 0: this model's classifier does not
 * @param bytes   that it must read and write, each once
 * @param flop    of products; 0 where time is a matter of bytes
 */
record Op(String name, String shape, int perStep, long bytes, double flop, Runnable run) {

    Report.Figure measure(Stopwatch stopwatch, Roofline roofline, int warmup, int repeats) {
        Timing timing = stopwatch.measure(name, warmup, repeats, run);
        Map<String, Double> rates = new LinkedHashMap<>();
        double gbPerSecond = bytes * 1e-9 / timing.median();
        rates.put("gb_per_second", gbPerSecond);
        rates.put("share_of_copy", gbPerSecond / roofline.copyGbPerSecond(bytes));
        if (flop > 0) {
            rates.put("tflops", flop * 1e-12 / timing.median());
            rates.put("share_of_gemm", flop * 1e-9 / timing.median() / roofline.gemmGflops());
        }
        rates.put("runs_per_step", (double) perStep);
        rates.put("bytes", (double) bytes);
        rates.put("flop", flop);
        return new Report.Figure(timing, shape, rates);
    }
}
