package org.warpbert.bench;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
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
 * @param commit      of the source tree that this was built in, "-dirty" where it was changed since; null where unknown;
 *                    in a package, what -Dwarpbert.commit says
 */
public record Machine(String device, String description, String cpu, int cores, int threads, String driver, String commit,
                      String java, String date) {

    /** This machine, with this backend open. */
    public static Machine of(Backend backend) {
        return of(backend, Machine.class);
    }

    /** @param built a class of the checkout that {@code commit} is to name */
    public static Machine of(Backend backend, Class<?> built) {
        String description = backend.describe();
        String device = description.contains("on the CPU") ? "simt" : backend.name(); // in a GPU's place it is still none
        return new Machine(device, description, cpuModel(), Runtime.getRuntime().availableProcessors(),
                backend.threads(), driverVersion(), commitOfBuild(built), System.getProperty("java.version"),
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

    /** Asks git about the place that a class was loaded from: built and run in one checkout, it lies inside it. */
    private static String commitOfBuild(Class<?> built) {
        String packaged = System.getProperty("warpbert.commit");
        if (packaged != null) {
            return packaged;
        }
        CodeSource source = built.getProtectionDomain().getCodeSource();
        if (source == null) {
            return null;
        }
        try {
            Path place = Path.of(source.getLocation().toURI());
            Path folder = Files.isDirectory(place) ? place : place.getParent();
            String commit = git(folder, "rev-parse", "--short=12", "HEAD");
            // results and pages change while figures are taken
            if (commit.isEmpty()) {
                return null;
            }
            boolean clean = git(folder, "status", "--porcelain", "--", ":/src", ":/native", ":/benchmarks/src").isEmpty();
            return clean ? commit : commit + "-dirty";
        } catch (IOException | URISyntaxException e) {
            return null; // no git here
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return null;
        }
    }

    /** What git prints, or nothing where it fails. */
    private static String git(Path folder, String... command) throws IOException, InterruptedException {
        List<String> line = new ArrayList<>(List.of("git", "-C", folder.toString()));
        line.addAll(List.of(command));
        Process git = new ProcessBuilder(line).redirectError(ProcessBuilder.Redirect.DISCARD).start();
        String text = new String(git.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        return git.waitFor() == 0 ? text : "";
    }
}
