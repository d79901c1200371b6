package org.warpbert.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.Stream;
import org.warpbert.check.GpuFigures;
import org.warpbert.format.AtomicFile;

/** Writes docs/performance.md from the JSON of results/: no figure on the page was typed. */
public final class PerformancePage {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final double STEP_TARGET = 0.80;   // share of the measured matrix-product rate
    private static final double MEMORY_TARGET = 0.7;  // of libtorch's
    private static final int LARGEST = 12;            // rows of a step's table

    private final StringBuilder page = new StringBuilder();
    private final Path results;
    private final String link;

    private PerformancePage(Path results, Path page) {
        this.results = results;
        link = page.toAbsolutePath().normalize().getParent().relativize(results.toAbsolutePath().normalize()).toString();
    }

    /** @param args the folder of results, and the page to write */
    public static void main(String[] args) throws IOException {
        Path page = Path.of(args[1]);
        PerformancePage made = new PerformancePage(Path.of(args[0]), page);
        made.write();
        AtomicFile.write(page, made.page.toString().getBytes(StandardCharsets.UTF_8));
    }

    private void write() throws IOException {
        List<JsonNode> contests = read("cpu-").stream().filter(json -> json.has("ratios")).toList();
        List<JsonNode> benches = read("bench-");
        List<JsonNode> starts = read("cpu-").stream().filter(json -> !json.has("ratios")).toList();
        line("# Performance");
        line("");
        line("Written by `benchmarks/run-cpu.sh` from `benchmarks/results/*.json`; not edited by hand. Every figure stands beside its peer, "
                + "measured in the same minutes: all engines are started, each in a process of its own, and take turns, round by round; a turn is as many runs as take "
                + "the quickest a second, and begins once the others' threads sleep. "
                + "A ratio is the median of the rounds' ratios, with the least and the most of them. Tokens are real ones; padding counts "
                + "as nothing. Training steps include clipping and AdamW, and are a classifier's; inference on the CPU gives the states of all tokens. " + GpuFigures.LAST_LAYER + " Where two engines infer, their answers are compared before their times.");
        summary(contests, benches, starts);
        for (JsonNode contest : contests) {
            contest(contest);
        }
        for (JsonNode bench : benches) {
            switch (bench.at("/settings/what").asText()) {
                case "TRAIN" -> step(bench);
                case "OPS" -> ops(bench);
                default -> { }
            }
        }
        for (JsonNode start : starts) {
            heading(start.get("title").asText());
            text("%.2f s (%.2f to %.2f over %d starts); wanted: under %.0f s.", start.get("median").asDouble(), start.get("min").asDouble(),
                    start.get("max").asDouble(), start.get("repeats").asInt(), start.get("target").asDouble());
            source(start, "cpu-start", start.get("command").asText());
        }
        calls();
        garbage();
        serving();
        page.append(GpuFigures.section(results, link));
    }

    private void summary(List<JsonNode> contests, List<JsonNode> benches, List<JsonNode> starts) {
        heading("What was wanted and what is");
        line("| work | against | is | wanted | |");
        line("|---|---|---|---|---|");
        for (JsonNode contest : contests) {
            for (JsonNode ratio : contest.get("ratios")) {
                if (ratio.get("target").asDouble() > 0) {
                    row(contest.get("title").asText(), ratio.get("against").asText(), times(ratio), number("%.2f times as fast", ratio.get("target").asDouble()),
                            ratio.get("times_as_fast").asDouble() >= ratio.get("target").asDouble());
                }
                if (contest.get("name").asText().equals("train-cola") && ratio.get("against").asText().startsWith("libtorch")) {
                    row(contest.get("title").asText() + ": peak memory", ratio.get("against").asText(), number("%.2f of it", ratio.get("share_of_its_memory").asDouble()),
                            number("at most %.1f", MEMORY_TARGET), ratio.get("share_of_its_memory").asDouble() <= MEMORY_TARGET);
                }
            }
        }
        for (JsonNode bench : benches) {
            if (bench.at("/settings/what").asText().equals("TRAIN")) {
                double share = bench.at("/figures/0/rates/share_of_gemm").asDouble();
                row("Training step, " + describe(bench), "the measured matrix-product rate", number("%.2f of it", share), number("%.2f", STEP_TARGET), share >= STEP_TARGET);
            }
        }
        for (JsonNode start : starts) {
            row(start.get("title").asText(), "–", number("%.2f s", start.get("median").asDouble()), number("under %.0f s", start.get("target").asDouble()),
                    start.get("median").asDouble() < start.get("target").asDouble());
        }
    }

    private void row(String work, String against, String is, String wanted, boolean reached) {
        line("| " + work + " | " + against + " | " + is + " | " + wanted + " | " + (reached ? "reached" : "**not reached**") + " |");
    }

    private void contest(JsonNode contest) {
        heading(contest.get("title").asText());
        int sequences = contest.at("/job/lengths").size();
        text("%,d real tokens in %d sequence%s.", contest.get("real_tokens").asInt(), sequences, sequences == 1 ? "" : "s");
        line("");
        line("| engine | ms | spread | real tokens/s | peak memory | WarpBERT is |");
        line("|---|---|---|---|---|---|");
        for (int i = 0; i < contest.get("engines").size(); i++) {
            JsonNode engine = contest.get("engines").get(i);
            line("| " + engine.get("name").asText() + " | " + number("%.1f | %.1f%% | %,.0f | %.2f GB", 1e3 * engine.get("median").asDouble(), 100 * engine.get("spread").asDouble(),
                    engine.get("real_tokens_per_second").asDouble(), 1e-9 * engine.at("/about/peak_resident_bytes").asDouble()) + " | "
                    + (i == 0 ? "" : times(contest.get("ratios").get(i - 1))) + " |");
        }
        source(contest, "cpu-" + contest.get("name").asText(), contest.get("command").asText());
        List<String> settings = new ArrayList<>();
        contest.get("engines").forEach(engine -> settings.add(engine.at("/about/library").asText()
                + (engine.at("/about/graph").isMissingNode() ? "" : ", graph " + engine.at("/about/graph").asText())
                + (engine.at("/about/OMP_WAIT_POLICY").isMissingNode() ? "" : ", its best settings: fused attention and AdamW, idle threads asleep, OpenBLAS's kernels as detected")));
        text("Engines: %s.", String.join("; ", settings.stream().distinct().toList()));
    }

    private static String times(JsonNode ratio) {
        return number("%.2f times as fast (%.2f to %.2f)", ratio.get("times_as_fast").asDouble(), ratio.get("least").asDouble(), ratio.get("most").asDouble());
    }

    private void step(JsonNode bench) {
        JsonNode figure = bench.at("/figures/0");
        heading("A training step beside the machine: " + describe(bench));
        text("%.1f ms (spread %.1f%%), %,.0f real tokens/s, %.1f model GFLOP/s: %.1f%% of the %.1f GFLOP/s that matrix products were measured at between its steps. "
                + "Matrix products take %.1f%% of the step's time. Fill %.3f of the batch padded to its maximum. %s.", 1e3 * figure.get("median").asDouble(),
                100 * figure.get("spread").asDouble(), figure.at("/rates/real_tokens_per_second").asDouble(), figure.at("/rates/model_gflops").asDouble(),
                100 * figure.at("/rates/share_of_gemm").asDouble(), bench.get("gemm_gflops").asDouble(), 100 * figure.at("/rates/products_share_of_time").asDouble(),
                bench.at("/work/fill").asDouble(), bench.get("flop_formula").asText());
        source(bench, "bench-train-" + shortName(bench), command(bench));
    }

    private void ops(JsonNode bench) {
        heading("Where a training step goes: " + describe(bench));
        List<JsonNode> figures = new ArrayList<>();
        bench.get("figures").forEach(figures::add);
        double step = figures.stream().mapToDouble(PerformancePage::perStep).sum();
        figures.sort((a, b) -> Double.compare(perStep(b), perStep(a)));
        text("The %d ops that take most of it, each timed alone; all together %.1f ms.", LARGEST, 1e3 * step);
        line("");
        line("| op | shape | µs | times a step | of the step | GB/s | of a copy | TFLOP/s | of matrix products |");
        line("|---|---|---|---|---|---|---|---|---|");
        for (JsonNode f : figures.subList(0, Math.min(LARGEST, figures.size()))) {
            JsonNode r = f.get("rates");
            line("| " + f.get("name").asText() + " | " + f.get("what").asText() + " | " + number("%.0f | %.0f | %.1f%% | %.1f | %.0f%%", 1e6 * f.get("median").asDouble(),
                    r.get("runs_per_step").asDouble(), 100 * perStep(f) / step, r.get("gb_per_second").asDouble(), 100 * r.get("share_of_copy").asDouble())
                    + (r.has("tflops") ? number(" | %.3f | %.0f%% |", r.get("tflops").asDouble(), 100 * r.get("share_of_gemm").asDouble()) : " | | |"));
        }
        source(bench, "bench-ops-" + shortName(bench), command(bench));
        text("Copies were measured at %.1f GB/s (read and written, beyond the caches), matrix products at %.1f GFLOP/s.", bench.get("copy_gb_per_second").asDouble(), bench.get("gemm_gflops").asDouble());
    }

    private static double perStep(JsonNode figure) {
        return figure.at("/rates/runs_per_step").asDouble() * figure.get("median").asDouble();
    }

    private void calls() throws IOException {
        jmh("CallBenchmark", "jmh-calls.json", "What a call costs before it computes", "One element, one thread: Java, glue, argument checks and dispatch.",
                List.of("op", "ns", "bytes of garbage"), benchmark -> {
                    double error = benchmark.at("/primaryMetric/scoreError").asDouble(); // none of a single iteration
                    return number("%.0f", benchmark.at("/primaryMetric/score").asDouble()) + (Double.isNaN(error) ? "" : number(" ± %.0f", error))
                            + number(" | %.1f", garbage(benchmark));
                });
    }

    private void garbage() throws IOException {
        jmh("StepBenchmark", "jmh-steps.json", "What a step leaves for the garbage collector",
                "A BERT so small that Java counts, on the CPU, by one thread. JMH sums over every thread of its process, its own among them.",
                List.of("work", "bytes of garbage"), benchmark -> number("%.1f", garbage(benchmark)));
    }

    private void serving() throws IOException {
        jmh("ServeBenchmark", "jmh-serving.json", "What a server's threads get of one model",
                "bert-base on the CPU, four threads, each with one text of 11 tokens at a time. Texts that wait are computed in one batch, of at most so many.",
                List.of("answer", "texts a batch", "texts/s"), benchmark -> benchmark.at("/params/batchSize").asText()
                        + number(" | %.0f ± %.0f", benchmark.at("/primaryMetric/score").asDouble(), benchmark.at("/primaryMetric/scoreError").asDouble()));
    }

    /** A table from JMH's own JSON, of a class run with its gc profiler. */
    private void jmh(String benchmarks, String name, String title, String about, List<String> columns, Function<JsonNode, String> figures) throws IOException {
        Path file = results.resolve(name);
        if (!Files.exists(file)) {
            return;
        }
        JsonNode all = JSON.readTree(file.toFile());
        heading(title);
        line(about);
        line("");
        line("| " + String.join(" | ", columns) + " |");
        line("|" + "---|".repeat(columns.size()));
        for (JsonNode benchmark : all) {
            line("| " + name(benchmark) + " | " + figures.apply(benchmark) + " |");
        }
        line("");
        line("JMH `" + benchmarks + " -prof gc`, Java " + all.at("/0/jdkVersion").asText() + " ([JSON](" + link + "/" + name + ")).");
    }

    private static String name(JsonNode benchmark) {
        return benchmark.get("benchmark").asText().replaceFirst(".*\\.", "");
    }

    /** Bytes for each call. */
    private static double garbage(JsonNode benchmark) {
        double bytes = Double.NaN;
        for (var metric = benchmark.get("secondaryMetrics").fields(); metric.hasNext(); ) {
            var entry = metric.next();
            bytes = entry.getKey().endsWith("gc.alloc.rate.norm") ? entry.getValue().get("score").asDouble() : bytes;
        }
        return bytes;
    }

    private static String describe(JsonNode bench) {
        return bench.at("/settings/model").asText().replace("random:", "") + ", " + bench.at("/work/sequences").asInt() + " sequences, " + bench.at("/settings/lengths").asText();
    }

    private static String command(JsonNode bench) {
        JsonNode s = bench.get("settings");
        return "./warpbert bench " + s.get("what").asText().toLowerCase(Locale.ROOT) + " --model " + s.get("model").asText() + " --lengths " + s.get("lengths").asText()
                + " --layout " + s.get("layout").asText() + " --batch-size " + s.get("batch_size").asInt() + " --warmup " + s.get("warmup").asInt() + " --repeats " + s.get("repeats").asInt();
    }

    private static String shortName(JsonNode bench) {
        return bench.at("/settings/lengths").asText().replace("fixed:", "");
    }

    private void source(JsonNode report, String file, String command) {
        JsonNode m = report.get("machine");
        line("");
        line("`" + command + "`, " + m.get("date").asText() + ", commit " + m.get("commit").asText() + "; " + m.get("cpu").asText() + ", " + m.get("threads").asInt()
                + " threads; " + m.get("description").asText() + " ([JSON](" + link + "/" + file + ".json)).");
    }

    private List<JsonNode> read(String prefix) throws IOException {
        try (Stream<Path> files = Files.list(results)) {
            List<JsonNode> found = new ArrayList<>();
            for (Path file : files.filter(f -> f.getFileName().toString().startsWith(prefix) && f.toString().endsWith(".json")).sorted().toList()) {
                found.add(JSON.readTree(file.toFile()));
            }
            return found;
        }
    }

    private void heading(String text) {
        line("");
        line("## " + text);
    }

    private void text(String format, Object... values) {
        line(number(format, values));
    }

    private static String number(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }

    private void line(String text) {
        page.append(text).append('\n');
    }
}
