package org.warpbert.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import org.warpbert.backend.Backend;

/**
 * What measured: without it a figure cannot be compared.
 *
 * @param device      "cpu", "cuda" or "simt"
 * @param description the backend's own line: instruction set or architecture, threads, BLAS
 * @param cpu         the processor's model name
 * @param cores       that this process may use
 * @param threads     that the backend uses
 * @param driver      version of the NVIDIA kernel driver, or null where there is none
 * @param commit      of the source tree that this was built in, "-dirty" where it was changed since; null where unknown
 */
public record Machine(String device, String description, String cpu, int cores, int threads, String driver, String commit,
                      String java, String date) {

    /** This machine, with this backend open. */
    public static Machine of(Backend backend) {
        return new Machine(backend.name(), backend.describe(), cpuModel(), Runtime.getRuntime().availableProcessors(),
                backend.threads(), driverVersion(), commitOfBuild(), System.getProperty("java.version"),
                Instant.now().truncatedTo(ChronoUnit.SECONDS).toString());
    }

    private static String cpuModel() {
        return lineValue(Path.of("/proc/cpuinfo"), "model name");
    }

    private static String driverVersion() {
        String line = lineValue(Path.of("/proc/driver/nvidia/version"), "NVRM version");
        return line.equals("unknown") ? null : line;
    }

    private static String lineValue(Path file, String key) {
        try {
            return Files.readAllLines(file).stream().filter(line -> line.startsWith(key))
                    .map(line -> line.substring(line.indexOf(':') + 1).strip()).findFirst().orElse("unknown");
        } catch (IOException e) {
            return "unknown";
        }
    }

    /** Asks git about the place that these classes were loaded from: built and run in one checkout, they lie inside it. */
    public static String commitOfBuild() {
        CodeSource source = Machine.class.getProtectionDomain().getCodeSource();
        if (source == null) {
            return null;
        }
        try {
            Path place = Path.of(source.getLocation().toURI());
            Path folder = Files.isDirectory(place) ? place : place.getParent();
            Process git = new ProcessBuilder("git", "-C", folder.toString(), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
                    .redirectError(ProcessBuilder.Redirect.DISCARD).start();
            String commit = new String(git.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            return git.waitFor() == 0 && !commit.isEmpty() ? commit : null;
        } catch (IOException | java.net.URISyntaxException e) {
            return null; // no git here
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return null;
        }
    }
}
