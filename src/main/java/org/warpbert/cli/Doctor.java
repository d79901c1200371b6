package org.warpbert.cli;

import com.sun.management.OperatingSystemMXBean;
import eu.maveniverse.maven.mima.context.Context;
import eu.maveniverse.maven.mima.context.ContextOverrides;
import eu.maveniverse.maven.mima.context.Runtimes;
import java.io.File;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Precision;
import org.warpbert.hub.Hub;

/** Looks at the machine: what WarpBERT needs, whether it is there, and what to do where it is not. */
final class Doctor {
    /** How a finding is to be taken. */
    enum State { OK, WARNING, MISSING }

    /**
     * @param needed whether WarpBERT cannot work without it
     * @param remedy what to do, or null where all is well
     */
    record Finding(String name, State state, boolean needed, String detail, String remedy) {}

    /** Run from an archive, which is not built but unpacked. */
    private static final boolean PACKAGED = Boolean.getBoolean("warpbert.packaged");
    private static final Set<String> VECTOR_FLAGS = Set.of("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq",
            "avx512vl", "avx512_bf16", "amx_bf16");

    private final List<Finding> findings = new ArrayList<>();

    private Doctor() {}

    static List<Finding> examine() {
        Doctor doctor = new Doctor();
        doctor.java();
        doctor.cpu();
        doctor.memory();
        doctor.backend();
        doctor.blasVariables();
        doctor.maven();
        doctor.models();
        if (!PACKAGED) {
            doctor.tool("mvn", "the build", "maven", "-version");
            doctor.tool("g++", "the build", "g++", "--version");
            doctor.tool("make", "the build", "make", "--version");
        }
        doctor.findings.addAll(DoctorCuda.examine());
        return doctor.findings;
    }

    private void ok(String name, String detail) {
        findings.add(new Finding(name, State.OK, false, detail, null));
    }

    private void java() {
        String detail = System.getProperty("java.version") + ", " + System.getProperty("java.vendor") + ", " + System.getProperty("java.home");
        boolean jdk = Files.exists(Path.of(System.getProperty("java.home"), "bin", "javac"));
        if (jdk || PACKAGED) {
            ok("java", detail);
        } else {
            findings.add(new Finding("java", State.WARNING, false, detail + ", no compiler",
                    "to build, a JDK is needed: apt-get install openjdk-17-jdk-headless"));
        }
    }

    private void cpu() {
        String platform = System.getProperty("os.name") + " " + System.getProperty("os.arch");
        int cores = Runtime.getRuntime().availableProcessors();
        List<String> lines = lines(Path.of("/proc/cpuinfo"));
        String model = valueOf(lines, "model name");
        String vectors = Arrays.stream(valueOf(lines, "flags").split(" ")).filter(VECTOR_FLAGS::contains).sorted()
                .collect(Collectors.joining(" "));
        String detail = platform + ", " + model + ", " + cores + (cores == 1 ? " core; " : " cores; ") + vectors;
        if (!platform.equals("Linux amd64")) {
            findings.add(new Finding("cpu", State.MISSING, true, detail, "WarpBERT runs on Linux x86-64"));
        } else if (!vectors.contains("avx2")) {
            findings.add(new Finding("cpu", State.WARNING, false, detail, "without AVX2 everything works, slowly"));
        } else {
            ok("cpu", detail);
        }
    }

    private static String valueOf(List<String> lines, String key) {
        return lines.stream().filter(line -> line.startsWith(key)).map(line -> line.substring(line.indexOf(':') + 1).strip())
                .findFirst().orElse("unknown " + key);
    }

    static List<String> lines(Path file) {
        try {
            return Files.readAllLines(file);
        } catch (IOException e) {
            return List.of();
        }
    }

    private void memory() {
        OperatingSystemMXBean os = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
        long total = os.getTotalMemorySize(); // a container's limit, where there is one
        long machine = kilobytes("MemTotal") << 10;
        long available = kilobytes("MemAvailable") << 10;
        String detail = String.format(Locale.ROOT, "%s in all%s, %s available; Java heap up to %s", gigabytes(total),
                machine > total ? " by the container's limit (the machine has " + gigabytes(machine) + ")" : "",
                gigabytes(Math.min(available, total)), gigabytes(Runtime.getRuntime().maxMemory()));
        if (total < 4L << 30) {
            findings.add(new Finding("memory", State.WARNING, false, detail,
                    "all-MiniLM-L6-v2 fits; fine-tuning bert-base takes about 3 GB: give the machine or container more"));
        } else {
            ok("memory", detail);
        }
    }

    private static long kilobytes(String key) {
        String value = valueOf(lines(Path.of("/proc/meminfo")), key + ":");
        return value.endsWith(" kB") ? Long.parseLong(value.substring(0, value.length() - 3)) : 0;
    }

    private static String gigabytes(long bytes) {
        return String.format(Locale.ROOT, "%.1f GB", bytes / 1e9);
    }

    private void backend() {
        try (Backend backend = Backends.open("cpu", 0)) {
            ok("backend cpu", backend.describe() + (backend.precisions().contains(Precision.BF16) ? "; has --precision bf16"
                    : "; no --precision bf16, which takes AVX512-BF16 and our own products"));
        } catch (WarpBertException | LinkageError e) {
            Throwable cause = e.getCause() == null ? e : e.getCause(); // a loader's true reason
            findings.add(new Finding("backend cpu", State.MISSING, true, cause.getMessage(),
                    "build it where g++ and make are: mvn -DskipTests package"));
        }
    }

    private void blasVariables() {
        String core = System.getenv("OPENBLAS_CORETYPE");
        if (core != null) {
            ok("OPENBLAS_CORETYPE", core + " is set and not heeded: the CPU chooses (WARPBERT_BLAS_CORE would be heeded)");
        }
    }

    private void maven() {
        try (Context context = Runtimes.INSTANCE.getRuntime().create(ContextOverrides.create().withUserSettings(true).build())) {
            File repository = context.repositorySystemSession().getLocalRepository().getBasedir();
            Path existing = repository.toPath();
            while (!Files.exists(existing)) {
                existing = existing.getParent();
            }
            String detail = repository + (context.repositorySystemSession().isOffline() ? ", offline" : "");
            if (Files.isWritable(existing)) {
                ok("maven repository", detail);
            } else {
                findings.add(new Finding("maven repository", State.WARNING, false, detail + ", not writable",
                        "models cannot be downloaded; name a place with -Dmaven.repo.local or <localRepository> in settings.xml"));
            }
        } catch (RuntimeException e) {
            findings.add(new Finding("maven repository", State.WARNING, false, String.valueOf(e.getMessage()),
                    "models cannot be downloaded; see Maven's settings.xml"));
        }
    }

    private void models() {
        String cached = Hub.known().stream().filter(entry -> Files.isDirectory(Hub.cached(entry))).map(Hub.Entry::name)
                .collect(Collectors.joining(", "));
        Path folder = Hub.cached(Hub.known().get(0)).getParent();
        ok("models", folder + ": " + (cached.isEmpty() ? "none yet" : cached));
    }

    private void tool(String command, String need, String debianPackage, String versionOption) {
        String version = firstLine(command, versionOption);
        if (version != null) {
            ok(command, version);
        } else {
            findings.add(new Finding(command, State.MISSING, false, "not found", "for " + need + ": apt-get install " + debianPackage));
        }
    }

    /** The first line that a command prints, or null where it cannot be run. */
    private static String firstLine(String... command) {
        String text = output(command);
        return text == null ? null : text.lines().findFirst().orElse("");
    }

    /** What a command prints, or null where it cannot be run. */
    static String output(String... command) {
        try {
            Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
            process.getOutputStream().close();
            String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            boolean good = process.waitFor(20, TimeUnit.SECONDS) && process.exitValue() == 0;
            return good ? text.replaceAll("\u001B\\[[0-9;]*m", "") : null;
        } catch (IOException e) {
            return null; // no such command
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return null;
        }
    }
}
