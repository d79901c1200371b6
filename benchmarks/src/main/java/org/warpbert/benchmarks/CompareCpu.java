package org.warpbert.benchmarks;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Precision;
import org.warpbert.bench.Lengths;
import org.warpbert.bench.Machine;
import org.warpbert.benchmarks.Contest.Rival;
import org.warpbert.format.AtomicFile;
import org.warpbert.train.RunFolder;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** WarpBERT beside libtorch and ONNX Runtime on this CPU: a JSON file for each contest, with what ran on what. */
@Command(name = "compare-cpu", mixinStandardHelpOptions = true, sortOptions = false,
        description = "WarpBERT beside libtorch and ONNX Runtime on this CPU, in interleaved rounds.")
public final class CompareCpu implements Callable<Integer> {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final long SEED = 42;

    /** What our own matrix products bring: the same program with OpenBLAS's. */
    private static final Rival OPENBLAS = new Rival("warpbert-openblas", "WarpBERT, packed, with OpenBLAS", 0, 0);

    private static final Rival FLOAT32 = new Rival("warpbert-f32", "WarpBERT in float32", 0, 0);

    @Option(names = "--threads", defaultValue = "0", description = "0: as many as there are cores (default).")
    private int threads;

    @Option(names = "--rounds", defaultValue = "7", description = "Of training; inference takes twice as many (default ${DEFAULT-VALUE}).")
    private int rounds;

    @Option(names = "--warmup", defaultValue = "2", description = "Rounds before (default ${DEFAULT-VALUE}).")
    private int warmup;

    @Option(names = "--only", description = "Only contests whose name holds this.", defaultValue = "")
    private String only;

    @Option(names = "--results", defaultValue = "results", paramLabel = "DIR", description = "Where the JSON goes (default ${DEFAULT-VALUE}).")
    private Path results;

    public static void main(String[] args) {
        System.exit(new CommandLine(new CompareCpu()).execute(args));
    }

    @Override
    public Integer call() throws IOException {
        int count = threads == 0 ? Runtime.getRuntime().availableProcessors() : threads;
        Machine machine;
        boolean bf16;
        try (Backend backend = Backends.open("cpu", count)) {
            machine = Machine.of(backend, CompareCpu.class);
            bf16 = backend.precisions().contains(Precision.BF16);
        }
        List<Contest> contests = contests(count);
        if (bf16) {
            contests.addAll(bf16Contests(count));
        }
        for (Contest contest : contests) {
            if (!contest.name().contains(only)) {
                continue;
            }
            System.out.println(contest.title());
            ObjectNode report = contest.run(warmup, contest.job().training() ? rounds : 2 * rounds);
            report.set("machine", RunFolder.JSON.valueToTree(machine));
            report.put("command", "org.warpbert.benchmarks.CompareCpu --only " + contest.name() + " --rounds " + rounds + " --warmup " + warmup + " --threads " + count);
            AtomicFile.write(results.resolve("cpu-" + contest.name() + ".json"),
                    (JSON.writerWithDefaultPrettyPrinter().writeValueAsString(report) + "\n").getBytes(java.nio.charset.StandardCharsets.UTF_8));
            print(report);
        }
        return 0;
    }

    private static List<Contest> contests(int threads) {
        List<Contest> contests = new ArrayList<>();
        Job cola = job("train", "bert-base", "cola", 32, threads);
        contests.add(new Contest("train-cola", "Training step, bert-base, 32 sequences as long as CoLA's", cola, List.of(
                new Rival("libtorch", "libtorch, padded to 64", 64, 5), new Rival("libtorch", "libtorch, padded to the longest", cola.longest(), 2), OPENBLAS)));
        contests.add(new Contest("train-128", "Training step, bert-base, 8 sequences of 128", job("train", "bert-base", "fixed:128", 8, threads),
                List.of(new Rival("libtorch", "libtorch", 128, 1.15), OPENBLAS)));
        contests.add(new Contest("infer-minilm-128", "Inference, all-MiniLM-L6-v2, 32 sequences of 128",
                job("infer", "all-MiniLM-L6-v2", "fixed:128", 32, threads), with(onnx(true, 128, "", 1.15), OPENBLAS)));
        contests.add(new Contest("infer-base-128", "Inference, bert-base, 8 sequences of 128",
                job("infer", "bert-base", "fixed:128", 8, threads), with(with(onnx(false, 128, "", 1.15), new Rival("libtorch", "libtorch", 128, 1.15)), OPENBLAS)));
        for (String model : List.of("minilm", "base")) {
            boolean small = model.equals("minilm");
            Job half = job("infer", small ? "all-MiniLM-L6-v2" : "bert-base", "fill:0.5@128", small ? 32 : 8, threads);
            contests.add(new Contest("infer-" + model + "-half", "Inference, " + half.model() + ", " + half.lengths().length + " sequences of 64 on average, up to 128", half,
                    with(onnx(small, 128, ", padded to 128", 2.1), onnx(small, half.longest(), ", padded to the longest", 0).get(0))));
            contests.add(new Contest("infer-" + model + "-one", "Inference, " + half.model() + ", one sequence of 128",
                    job("infer", half.model(), "fixed:128", 1, threads), with(onnx(small, 128, "", 0), OPENBLAS)));
        }
        return contests;
    }

    /** Beside peers in bfloat16 and in float32, which libtorch from Maven Central computes faster; ONNX Runtime has no bfloat16 on a CPU. */
    private static List<Contest> bf16Contests(int threads) {
        Job cola = job("train", "bert-base", "cola", 32, threads).in(Precision.BF16);
        Job train = job("train", "bert-base", "fixed:128", 8, threads).in(Precision.BF16);
        Job infer = job("infer", "bert-base", "fixed:128", 8, threads).in(Precision.BF16);
        return List.of(
                new Contest("bf16-train-cola", "Training step in bf16, bert-base, 32 sequences as long as CoLA's", cola, List.of(
                        new Rival("libtorch-f32", "libtorch, float32, padded to the longest", cola.longest(), 0),
                        new Rival("libtorch", "libtorch, autocast, padded to the longest", cola.longest(), 0), FLOAT32)),
                new Contest("bf16-train-128", "Training step in bf16, bert-base, 8 sequences of 128", train, List.of(
                        new Rival("libtorch-f32", "libtorch, float32", 128, 0), new Rival("libtorch", "libtorch, autocast", 128, 0), FLOAT32)),
                new Contest("bf16-infer-base-128", "Inference in bf16, bert-base, 8 sequences of 128", infer, with(with(onnx(false, 128, ", float32", 0),
                        new Rival("libtorch", "libtorch, bfloat16", 128, 0)), FLOAT32)));
    }

    /** The fused graph always, the published one where there is one. */
    private static List<Rival> onnx(boolean published, int padded, String how, double target) {
        List<Rival> rivals = new ArrayList<>(List.of(new Rival("onnxruntime-fused", "ONNX Runtime, fused graph" + how, padded, target)));
        if (published) {
            rivals.add(new Rival("onnxruntime", "ONNX Runtime, published graph" + how, padded, target));
        }
        return rivals;
    }

    private static List<Rival> with(List<Rival> rivals, Rival more) {
        List<Rival> all = new ArrayList<>(rivals);
        all.add(more);
        return all;
    }

    private static Job job(String kind, String model, String lengths, int batchSize, int threads) {
        Lengths source = Lengths.parse(lengths);
        return new Job(kind, model, source.batch(batchSize, SEED), source.paddedLength(), threads, 0.1, SEED, Precision.F32);
    }

    private static void print(ObjectNode report) {
        report.get("engines").forEach(e -> System.out.printf(Locale.ROOT, "  %-46s %9.2f ms  spread %4.1f%%  %,8.0f real tokens/s  %,5.0f MB%n", e.get("name").asText(),
                1e3 * e.get("median").asDouble(), 100 * e.get("spread").asDouble(), e.get("real_tokens_per_second").asDouble(), 1e-6 * e.at("/about/peak_resident_bytes").asDouble()));
        report.get("ratios").forEach(r -> System.out.printf(Locale.ROOT, "  WarpBERT is %.2f (%.2f to %.2f) times as fast as %s%n", r.get("times_as_fast").asDouble(),
                r.get("least").asDouble(), r.get("most").asDouble(), r.get("against").asText()));
    }
}
