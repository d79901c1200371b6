package org.warpbert.check;

import static org.warpbert.check.GpuTargets.number;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.StreamSupport;

/** The GPU's part of docs/performance.md, from the gpu-*.json that benchmarks/run-gpu.sh writes: no figure in it was typed. */
public final class GpuFigures {
    /** What a ratio beside another library holds that is no kernel's merit. */
    public static final String LAST_LAYER = "Of a classifier's last layer WarpBERT computes, behind its attention, the first tokens alone: 6% fewer multiplications with "
            + "12 layers, which are not counted as its FLOP either. The peers compute all rows, as their users' programs do; this is part of every ratio of a classifier.";

    private final StringBuilder page = new StringBuilder();
    private final GpuResults results;
    private final String link;

    private GpuFigures(GpuResults results, String link) {
        this.results = results;
        this.link = link;
    }

    /**
     * @param folder of results, which may be missing
     * @param link   to the folder, from the page
     */
    public static String section(Path folder, String link) throws IOException {
        GpuFigures figures = new GpuFigures(GpuResults.read(folder), link);
        figures.write();
        return figures.page.toString();
    }

    private void write() {
        heading("On an H100: what was wanted and what is");
        line("Written from `benchmarks/results/gpu-*.json`, which `benchmarks/run-gpu.sh` leaves on a machine with a GPU. Contests are held as on the CPU; a turn "
                + "is several steps, so that the device is waited for once a turn. Ops are timed by the device's events, with its caches cleared before each run. " + LAST_LAYER);
        if (results.none()) {
            line("No result of a GPU is there: nothing below has been run on one.");
        }
        line("");
        line("| work | against | is | wanted | |");
        line("|---|---|---|---|---|");
        GpuTargets.of(results).forEach(row -> line("| " + String.join(" | ", row.work(), row.against(), row.is(), row.wanted(), row.verdict()) + " |"));
        results.contests().forEach(this::contest);
        for (String lengths : new String[] {"512", "128", "cola"}) {
            results.file("bench-ops-" + lengths).ifPresent(bench -> ops(lengths, bench));
        }
        results.file("attention").ifPresent(this::attention);
    }

    private void contest(String name, JsonNode contest) {
        heading(contest.get("title").asText());
        line(number("%,d real tokens in %d sequences; %d steps a turn.", contest.get("real_tokens").asInt(), contest.get("work").get("sequences").asInt(), contest.get("steps_a_turn").asInt()));
        line("");
        line("| engine | ms | spread | real tokens/s | model TFLOP/s | device memory | WarpBERT is |");
        line("|---|---|---|---|---|---|---|");
        for (int i = 0; i < contest.get("engines").size(); i++) {
            JsonNode engine = contest.get("engines").get(i);
            line("| " + engine.get("name").asText() + number(" | %.3f | %.1f%% | %,.0f | %.1f | %.2f GB | ", 1e3 * engine.get("median").asDouble(),
                    100 * engine.get("spread").asDouble(), engine.get("real_tokens_per_second").asDouble(), engine.get("model_tflops").asDouble(),
                    1e-9 * engine.at("/about/peak_device_bytes").asDouble()) + (i == 0 ? "" : GpuTargets.times(contest.get("ratios").get(i - 1))) + " |");
        }
        contest.get("absent").forEach(engine -> line("| " + engine.get("name").asText() + " | " + GpuPage.NOT_RUN + ": " + engine.get("reason").asText().replace("|", "\\|") + " | | | | | |"));
        source(contest.get("machine"), name, contest.get("command").asText());
        StringBuilder engines = new StringBuilder();
        contest.get("engines").forEach(engine -> engines.append(engines.length() == 0 ? "" : "; ").append(engine.get("name").asText()).append(": ")
                .append(about(engine.get("about"))));
        line("Engines: " + engines + ".");
    }

    private static String about(JsonNode about) {
        return about.path("library").asText() + ", " + about.path("layout").asText() + (about.has("attention") ? ", " + about.get("attention").asText() : "")
                + (about.has("weights") ? ", " + about.get("weights").asText() : ", " + about.path("precision").asText())
                + (about.path("kernels").isEmpty() ? "" : ", `" + String.join("`, `", texts(about.get("kernels"))) + "`")
                + (about.path("graph_breaks").asInt() == 0 ? "" : ", " + about.get("graph_breaks").asInt() + " graph breaks");
    }

    private static List<String> texts(JsonNode list) {
        return StreamSupport.stream(list.spliterator(), false).map(JsonNode::asText).toList();
    }

    private void ops(String lengths, JsonNode bench) {
        double copy = bench.get("copy_gb_per_second").asDouble();
        heading("Each op alone: " + number("%d sequences, %s", bench.get("work").get("sequences").asInt(), bench.at("/settings/lengths").asText()));
        line(number("Copies were measured at %.0f GB/s (read and written, beyond the caches), matrix products at %.0f TFLOP/s.", copy, 1e-3 * bench.get("gemm_gflops").asDouble()));
        line("");
        line("| op | shape | µs | spread | times a step | GB/s | of copies | TFLOP/s | of matrix products |");
        line("|---|---|---|---|---|---|---|---|---|");
        for (JsonNode f : bench.get("figures")) {
            JsonNode r = f.get("rates");
            line("| " + f.get("name").asText() + " | " + f.get("what").asText() + number(" | %.1f | %.1f%% | %.0f | %.0f | %.2f", 1e6 * f.get("median").asDouble(),
                    100 * f.get("spread").asDouble(), r.get("runs_per_step").asDouble(), r.get("gb_per_second").asDouble(), r.get("gb_per_second").asDouble() / copy)
                    + (r.has("tflops") ? number(" | %.1f | %.2f |", r.get("tflops").asDouble(), r.get("share_of_gemm").asDouble()) : " | | |"));
        }
        source(bench.get("machine"), "bench-ops-" + lengths, "warpbert bench ops --lengths " + bench.at("/settings/lengths").asText()
                + " --batch-size " + bench.at("/settings/batch_size").asInt());
    }

    private void attention(JsonNode others) {
        heading("Attention of others at the same shapes");
        line("| kernel | sequences | TFLOP/s forward | backward | both |");
        line("|---|---|---|---|---|");
        for (JsonNode f : others.get("figures")) {
            line("| " + f.get("backend").asText() + number(" | %d of %d | %.0f | %.0f | %.0f |", f.get("sequences").asInt(), f.get("length").asInt(),
                    f.get("tflops_forward").asDouble(), f.get("tflops_backward").asDouble(), f.get("tflops_both").asDouble()));
        }
        for (String length : List.of("128", "512")) {
            results.attentionTflops(length).ifPresent(own -> line("| WarpBERT | " + results.file("bench-ops-" + length).orElseThrow().at("/work/sequences").asInt() + " of " + length
                    + number(" | %.0f | %.0f | %.0f |", own.forward(), own.backward(), own.both())));
        }
        line("");
        line("`" + others.get("command").asText() + "`, " + others.get("date").asText() + "; " + others.get("device").asText() + ", " + others.get("library").asText()
                + " ([JSON](" + link + "/gpu-attention.json)). flop of a sequence of n tokens: 4 n² H forward, 10 n² H backward.");
    }

    private void source(JsonNode machine, String file, String command) {
        line("");
        line("`" + command + "`, " + machine.path("date").asText() + ", commit " + machine.path("commit").asText("unknown") + ", driver " + machine.path("driver").asText("unknown")
                + "; " + machine.path("description").asText() + " ([JSON](" + link + "/gpu-" + file + ".json)).");
    }

    private void heading(String text) {
        line("");
        line("## " + text);
    }

    private void line(String text) {
        page.append(text).append('\n');
    }
}
