package org.warpbert.check;

import java.io.File;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.warpbert.train.RunFolder;

/** A step in a JVM of its own, started as this one was. What a failing one leaves behind shall be enough to mend it by. */
final class StepProcess {
    private static final int LAST_LINES = 3; // of a process that dies without a word
    private static final int DUMP_SECONDS = 2;
    private static final String FRAME = "# Problematic frame:"; // of the JVM's word on a crash; the next line holds it
    private static final String BLOCKING = "CUDA_LAUNCH_BLOCKING";
    private static final String NO_GRAPHS = "-Dwarpbert.graphs=false";

    private StepProcess() {}

    /** @param output all that it printed */
    record Ended(Found found, String output) {}

    /**
     * Runs a step to its end, or for as long as it may take. Where a kernel has broken the device, of which a later call tells,
     * it runs once more, each launch waited for and none part of a graph: then the op that fails is the one that is named.
     *
     * @param left seconds that the whole check has left
     */
    static Ended run(Plan.Step step, double left, String device, Path model, Path train) throws IOException, InterruptedException {
        long start = System.nanoTime();
        Ended ended = run(step, left, device, model, train, List.of(), Map.of());
        if (ended.found.outcome() != Found.Outcome.FAILED || !ended.found.detail().contains(BLOCKING)) {
            return ended;
        }
        Ended again = run(step, left - (System.nanoTime() - start) * 1e-9, device, model, train, List.of(NO_GRAPHS), Map.of(BLOCKING, "1"));
        String with = "with " + BLOCKING + "=1 and " + NO_GRAPHS + ": ";
        return new Ended(Found.failed(ended.found.detail() + "; " + with + again.found.detail(), ended.found.figures()), ended.output + with + "\n" + again.output);
    }

    private static Ended run(Plan.Step step, double left, String device, Path model, Path train, List<String> options, Map<String, String> environment)
            throws IOException, InterruptedException {
        Path result = Files.createTempFile("warpbert-check", ".json");
        Path output = Files.createTempFile("warpbert-check", ".log");
        try {
            List<String> line = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-XX:+ErrorFileToStdout"));
            line.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
            line.addAll(options);
            line.addAll(List.of("-cp", System.getProperty("java.class.path"), CheckStep.class.getName(), result.toString(), device,
                    String.valueOf(model), String.valueOf(train), step.name()));
            ProcessBuilder builder = new ProcessBuilder(line).redirectErrorStream(true).redirectOutput(output.toFile());
            builder.environment().putAll(environment);
            Process process = builder.start();
            process.getOutputStream().close();
            Thread stop = new Thread(process::destroyForcibly); // an interrupted check leaves no step behind
            Runtime.getRuntime().addShutdownHook(stop);
            boolean ended = process.waitFor((long) (1000 * Math.min(step.seconds(), left)), TimeUnit.MILLISECONDS);
            if (!ended) {
                dump(process);
            }
            process.destroyForcibly().waitFor();
            Runtime.getRuntime().removeShutdownHook(stop);
            return new Ended(found(step, left, ended, process.exitValue(), result.toFile(), output), Files.readString(output));
        } finally {
            Files.delete(result);
            Files.delete(output);
        }
    }

    /** Has a JVM print where its threads stand. */
    private static void dump(Process process) throws IOException, InterruptedException {
        new ProcessBuilder("sh", "-c", "kill -QUIT " + process.pid()).start().waitFor();
        process.waitFor(DUMP_SECONDS, TimeUnit.SECONDS);
    }

    private static Found found(Plan.Step step, double left, boolean ended, int code, File result, Path output) throws IOException {
        if (!ended) {
            return left < step.seconds() ? Found.skipped("the time of the whole check was over before it ended")
                    : Found.failed("it had not ended after " + step.seconds() + " s; where its threads stood is in the log", Map.of());
        }
        if (code != 0 || result.length() == 0) {
            List<String> lines = Files.readAllLines(output);
            int frame = lines.indexOf(FRAME);
            List<String> last = frame < 0 || frame + 1 == lines.size() ? lines.subList(Math.max(0, lines.size() - LAST_LINES), lines.size())
                    : lines.subList(frame + 1, frame + 2);
            return Found.failed("its process ended with code " + code + ": " + String.join(" / ", last), Map.of());
        }
        return RunFolder.JSON.readValue(result, Found.class);
    }
}
