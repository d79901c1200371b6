package org.warpbert.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * WarpBERT and libtorch side by side, one after the other in one run, each in a process of its own: the same batch of
 * real lengths, packed here and padded there. libtorch runs under the settings that are best for it and, for the record,
 * in the environment as it is. Prints a table and writes the JSON of all runs.
 */
@Command(name = "compare-train-step", mixinStandardHelpOptions = true, sortOptions = false,
        description = "A training step of bert-base: WarpBERT packed against libtorch padded.")
public final class CompareTrainStep implements Callable<Integer> {
    private static final ObjectMapper JSON = new ObjectMapper();

    @Option(names = "--lengths", defaultValue = "data/cola-lengths-32.txt", description = "See TorchTrainStep (default ${DEFAULT-VALUE}).")
    private String lengths;

    @Option(names = "--pad", defaultValue = "64,longest", split = ",", description = "libtorch's padded lengths (default ${DEFAULT-VALUE}).")
    private List<String> pads;

    @Option(names = "--threads", defaultValue = "2", description = "Default ${DEFAULT-VALUE}.")
    private int threads;

    @Option(names = "--out", required = true, paramLabel = "FILE", description = "JSON file to write.")
    private Path out;

    public static void main(String[] args) {
        System.exit(new CommandLine(new CompareTrainStep()).execute(args));
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
        ObjectNode report = JSON.createObjectNode();
        report.put("date", Instant.now().toString());
        report.put("commit", output("git", "rev-parse", "--short", "HEAD"));
        report.put("processor", output("sh", "-c", "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2-").strip());
        report.put("cores", Runtime.getRuntime().availableProcessors());
        System.out.printf("%-52s %12s %14s %8s%n", "engine", "s per step", "real tokens/s", "GFLOP/s");
        ObjectNode ours = run("WarpBERT, packed", WarpTrainStep.class, List.of(), true, report);
        for (String pad : pads) {
            ObjectNode best = run("libtorch, padded to " + pad, TorchTrainStep.class, List.of("--pad", pad), true, report);
            ratio(pad + ", libtorch's best settings", best, ours, report);
            ObjectNode plain = run("libtorch, padded to " + pad + ", environment as it is", TorchTrainStep.class, List.of("--pad", pad), false, report);
            ratio(pad + ", environment as it is", plain, ours, report);
        }
        ObjectNode again = run("WarpBERT, packed, again", WarpTrainStep.class, List.of(), true, report);
        report.put("spread_of_ours", Math.abs(again.get("seconds_per_step").asDouble() / ours.get("seconds_per_step").asDouble() - 1));
        Files.createDirectories(out.toAbsolutePath().getParent());
        Files.writeString(out, JSON.writerWithDefaultPrettyPrinter().writeValueAsString(report) + "\n");
        return 0;
    }

    private static void ratio(String what, JsonNode peer, JsonNode ours, ObjectNode report) {
        double ratio = peer.get("seconds_per_step").asDouble() / ours.get("seconds_per_step").asDouble();
        report.withObject("/times_faster").put(what, ratio);
        System.out.printf("  WarpBERT is %.1f times as fast%n", ratio);
    }

    private ObjectNode run(String name, Class<?> program, List<String> more, boolean best, ObjectNode report)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx4g",
                "-Dorg.bytedeco.javacpp.maxphysicalbytes=0", "-Dorg.bytedeco.javacpp.maxbytes=0",
                "-cp", System.getProperty("java.class.path"), program.getName(), "--lengths", lengths, "--threads", "" + threads));
        command.addAll(more);
        ProcessBuilder builder = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
        Map<String, String> environment = builder.environment();
        environment.remove("OPENBLAS_THREAD_TIMEOUT");
        environment.remove("OMP_WAIT_POLICY");
        if (best) { // detected kernels; idle threads that sleep rather than take the other pool's cores
            environment.remove("OPENBLAS_CORETYPE");
            environment.remove("OPENBLAS_L2_SIZE");
            environment.put("OPENBLAS_THREAD_TIMEOUT", "4");
            environment.put("OMP_WAIT_POLICY", "passive");
        }
        Process process = builder.start();
        String json = new String(process.getInputStream().readAllBytes());
        if (process.waitFor() != 0) {
            throw new IOException(name + " failed");
        }
        ObjectNode result = (ObjectNode) JSON.readTree(json);
        report.withObject("/runs").set(name, result);
        System.out.printf("%-52s %12.3f %14.0f %8.0f%n", name, result.get("seconds_per_step").asDouble(),
                result.get("real_tokens_per_second").asDouble(), result.get("gflops_over_step").asDouble());
        return result;
    }

    private static String output(String... command) throws IOException {
        return new String(new ProcessBuilder(command).start().getInputStream().readAllBytes()).strip();
    }
}
