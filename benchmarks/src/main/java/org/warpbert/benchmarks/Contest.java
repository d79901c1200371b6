package org.warpbert.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.warpbert.bench.Timing;

/**
 * WarpBERT and its peers at the same work in the same minutes: all are started and stay; then, round by round, each does
 * the job, as many times as take the quickest a second, once the others' threads sleep: ONNX Runtime's spin for some 30 ms after its answer, on
 * cores that whoever comes next would have to share. A round's ratio holds whatever else the machine did in that round; the median of the
 * rounds' ratios is what is claimed.
 *
 * @param name    of the result's file
 * @param title   for the page
 * @param rivals  against whom; a ratio's target is the least that we want to be faster by
 */
record Contest(String name, String title, Job job, List<Rival> rivals) {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final double TURN_SECONDS = 1;
    private static final long PAUSE_MILLIS = 100; // before a turn
    private static final double AGREEMENT = 2e-3; // float32 of different libraries through twelve layers; values are of size 1
    private static final double BF16_AGREEMENT = 5e-2; // of products that round their operands to eight bits

    /**
     * A peer.
     *
     * @param engine of {@link EngineMain}
     * @param padded what it pads every sequence to; 0: nothing, it packs
     * @param target the ratio that the project wants, or 0
     */
    record Rival(String engine, String title, int padded, double target) {}

    /** @return engines with their times, and ratios */
    ObjectNode run(int warmup, int rounds) throws IOException {
        List<EngineProcess> engines = new ArrayList<>();
        try {
            engines.add(new EngineProcess("warpbert", job.paddedTo(job.longest())));
            for (Rival rival : rivals) {
                engines.add(new EngineProcess(rival.engine, job.paddedTo(rival.padded == 0 ? job.longest() : rival.padded)));
            }
            double[][] seconds = new double[engines.size()][rounds];
            double quickest = TURN_SECONDS; // in the last round of the warm-up
            for (int round = -warmup; round < rounds; round++) {
                int times = round < 0 ? 1 : (int) Math.ceil(TURN_SECONDS / quickest);
                for (int i = 0; i < engines.size(); i++) {
                    int engine = Math.floorMod(i + round, engines.size());
                    pause();
                    double time = engines.get(engine).run(times);
                    if (round >= 0) {
                        seconds[engine][round] = time;
                    } else if (round == -1) {
                        quickest = Math.min(quickest, time);
                    }
                }
            }
            return report(engines, seconds, warmup).put("runs_a_turn", (int) Math.ceil(TURN_SECONDS / quickest));
        } finally {
            engines.forEach(EngineProcess::close);
        }
    }

    private void pause() throws IOException {
        try {
            Thread.sleep(PAUSE_MILLIS);
        } catch (InterruptedException e) {
            throw new IOException(name + " was interrupted", e);
        }
    }

    private ObjectNode report(List<EngineProcess> engines, double[][] seconds, int warmup) throws IOException {
        ObjectNode report = JSON.createObjectNode();
        report.put("name", name).put("title", title);
        report.set("job", JSON.valueToTree(job));
        report.put("real_tokens", job.realTokens());
        ArrayNode entries = report.putArray("engines");
        for (int i = 0; i < seconds.length; i++) {
            ObjectNode about = engines.get(i).finish();
            Timing timing = Timing.of(i == 0 ? "WarpBERT, packed" : rivals.get(i - 1).title, warmup, seconds[i]);
            ObjectNode entry = entries.addObject();
            entry.setAll((ObjectNode) JSON.valueToTree(timing));
            entry.put("real_tokens_per_second", job.realTokens() / timing.median());
            entry.put("fill", i == 0 || rivals.get(i - 1).padded == 0 ? 1.0 : (double) job.realTokens() / (job.lengths().length * rivals.get(i - 1).padded));
            entry.set("seconds", JSON.valueToTree(seconds[i]));
            entry.set("about", about);
            if (!job.training()) {
                entry.put("difference_of_result", difference(entries.get(0).at("/about/result"), about.get("result"), timing.name()));
            }
        }
        ArrayNode ratios = report.putArray("ratios");
        for (int i = 1; i < seconds.length; i++) {
            double[] ratio = new double[seconds[i].length];
            for (int round = 0; round < ratio.length; round++) {
                ratio[round] = seconds[i][round] / seconds[0][round];
            }
            Timing spread = Timing.of(rivals.get(i - 1).title, warmup, ratio);
            ratios.addObject().put("against", spread.name()).put("times_as_fast", spread.median()).put("spread", spread.spread())
                    .put("least", spread.min()).put("most", spread.max()).put("target", rivals.get(i - 1).target)
                    .put("share_of_its_memory", entries.get(0).at("/about/peak_resident_bytes").asDouble() / entries.get(i).at("/about/peak_resident_bytes").asDouble());
        }
        return report;
    }

    /** The engines' answers to the same question: what does not agree is not the same work. */
    private double difference(JsonNode ours, JsonNode theirs, String who) throws IOException {
        double most = 0;
        for (int i = 0; i < ours.size(); i++) {
            most = Math.max(most, Math.abs(ours.get(i).asDouble() - theirs.get(i).asDouble()));
        }
        if (!(most < (job.bf16() ? BF16_AGREEMENT : AGREEMENT))) {
            throw new IOException(name + ": " + who + " computes something else: " + theirs + ", WarpBERT " + ours);
        }
        return most;
    }
}
