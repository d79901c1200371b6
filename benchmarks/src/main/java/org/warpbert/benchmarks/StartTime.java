package org.warpbert.benchmarks;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.bench.Lengths;
import org.warpbert.bench.Machine;
import org.warpbert.bench.Timing;
import org.warpbert.format.AtomicFile;
import org.warpbert.train.RunFolder;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * From the command to the first step done, as a user waits for it: {@code warpbert finetune} of bert-base-uncased, cached,
 * on 8,551 texts as long as CoLA's, until the first line stands in the run's metrics.
 */
@Command(name = "start-time", mixinStandardHelpOptions = true, description = "Seconds from ./warpbert finetune to its first step.")
public final class StartTime implements Callable<Integer> {
    private static final int TEXTS = 8551;
    private static final long MOST_NANOS = 120_000_000_000L;

    @Option(names = "--repeats", defaultValue = "5", description = "Default ${DEFAULT-VALUE}.")
    private int repeats;

    @Option(names = "--model", defaultValue = "bert-base-uncased", description = "Default ${DEFAULT-VALUE}; fetched in the first run, which is not counted.")
    private String model;

    @Option(names = "--warpbert", defaultValue = "../warpbert", description = "The command (default ${DEFAULT-VALUE}).")
    private Path warpbert;

    @Option(names = "--results", defaultValue = "results", paramLabel = "DIR", description = "Where the JSON goes (default ${DEFAULT-VALUE}).")
    private Path results;

    public static void main(String[] args) {
        System.exit(new CommandLine(new StartTime()).execute(args));
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
        Path work = Files.createTempDirectory("warpbert-start");
        try {
            Path data = work.resolve("train.tsv");
            Files.writeString(data, rows());
            double[] seconds = new double[repeats];
            for (int i = -1; i < repeats; i++) {
                double time = start(data, work.resolve("run" + i));
                if (i >= 0) {
                    seconds[i] = time;
                }
            }
            Timing timing = Timing.of("start", 1, seconds);
            ObjectMapper json = new ObjectMapper();
            ObjectNode report = json.createObjectNode().put("name", "start").put("title", "From the command to the first step, " + model + " cached, CoLA's lengths, batch 32");
            report.setAll((ObjectNode) json.valueToTree(timing));
            report.put("target", 3.0).put("command", "org.warpbert.benchmarks.StartTime --repeats " + repeats);
            try (Backend backend = Backends.open("cpu", 0)) {
                report.set("machine", RunFolder.JSON.valueToTree(Machine.of(backend, StartTime.class)));
            }
            AtomicFile.write(results.resolve("cpu-start.json"), (json.writerWithDefaultPrettyPrinter().writeValueAsString(report) + "\n").getBytes(StandardCharsets.UTF_8));
            System.out.printf(Locale.ROOT, "from the command to the first step: %.2f s (spread %.1f%%)%n", timing.median(), 100 * timing.spread());
            return 0;
        } finally {
            AtomicFile.deleteFolder(work);
        }
    }

    private static String rows() {
        StringBuilder rows = new StringBuilder("label\ttext\n");
        int[] lengths = Lengths.parse("cola").batch(TEXTS, 42);
        for (int i = 0; i < lengths.length; i++) {
            rows.append(i % 2 == 0 ? "yes\t" : "no\t").append("word ".repeat(lengths[i] - 2).strip()).append('\n'); // [CLS] and [SEP] are added
        }
        return rows.toString();
    }

    private double start(Path data, Path out) throws IOException, InterruptedException {
        Path metrics = out.resolveSibling(out.getFileName() + ".partial").resolve("metrics.jsonl");
        Path log = out.resolveSibling("log");
        long start = System.nanoTime();
        Process process = new ProcessBuilder(warpbert.toString(), "finetune", "--model", model, "--train", data.toString(), "--text", "text",
                "--label", "label", "--max-length", "64", "--batch-size", "32", "--epochs", "1", "--quiet", "--out", out.toString())
                .redirectErrorStream(true).redirectOutput(log.toFile()).start();
        try {
            while (!Files.exists(metrics) || Files.size(metrics) == 0) {
                if (!process.isAlive() || System.nanoTime() - start > MOST_NANOS) {
                    throw new IOException("no first step: " + Files.readString(log).strip());
                }
                Thread.sleep(2);
            }
            return (System.nanoTime() - start) * 1e-9;
        } finally {
            process.destroy(); // it takes its own files away
            process.waitFor();
        }
    }
}
