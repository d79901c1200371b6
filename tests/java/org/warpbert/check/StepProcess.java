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

/** A step in a JVM of its own, started as this one was. */
final class StepProcess {
    private static final int LAST_LINES = 3; // of a process that dies without a word

    private StepProcess() {}

    /** @param output all that it printed */
    record Ended(Found found, String output) {}

    /**
     * Runs a step to its end, or for as long as it may take.
     *
     * @param left seconds that the whole check has left
     */
    static Ended run(Plan.Step step, double left, String device, Path model, Path train) throws IOException, InterruptedException {
        Path result = Files.createTempFile("warpbert-check", ".json");
        Path output = Files.createTempFile("warpbert-check", ".log");
        try {
            List<String> line = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
            line.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
            line.addAll(List.of("-cp", System.getProperty("java.class.path"), CheckStep.class.getName(), result.toString(), device,
                    String.valueOf(model), String.valueOf(train), step.name()));
            Process process = new ProcessBuilder(line).redirectErrorStream(true).redirectOutput(output.toFile()).start();
            process.getOutputStream().close();
            Thread stop = new Thread(process::destroyForcibly); // an interrupted check leaves no step behind
            Runtime.getRuntime().addShutdownHook(stop);
            boolean ended = process.waitFor((long) (1000 * Math.min(step.seconds(), left)), TimeUnit.MILLISECONDS);
            process.destroyForcibly().waitFor();
            Runtime.getRuntime().removeShutdownHook(stop);
            return new Ended(found(step, left, ended, process.exitValue(), result.toFile(), output), Files.readString(output));
        } finally {
            Files.delete(result);
            Files.delete(output);
        }
    }

    private static Found found(Plan.Step step, double left, boolean ended, int code, File result, Path output) throws IOException {
        if (!ended) {
            return left < step.seconds() ? Found.skipped("the time of the whole check was over before it ended")
                    : Found.failed("it had not ended after " + step.seconds() + " s", Map.of());
        }
        if (code != 0 || result.length() == 0) {
            List<String> lines = Files.readAllLines(output);
            return Found.failed("its process ended with code " + code + ": "
                    + String.join(" / ", lines.subList(Math.max(0, lines.size() - LAST_LINES), lines.size())), Map.of());
        }
        return RunFolder.JSON.readValue(result, Found.class);
    }
}
