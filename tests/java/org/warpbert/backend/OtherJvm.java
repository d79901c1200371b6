package org.warpbert.backend;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Runs a main class of the tests in a JVM of its own, which finds other CUDA libraries: the stand-ins of the native tests. */
public final class OtherJvm {
    private static final Path STAND_INS = Path.of("target", "native", "standins").toAbsolutePath();
    private static final Path PTX = STAND_INS.resolve("ptx");
    /** A cuBLASLt that reads its descriptors and computes on the host. */
    static final Path CUBLASLT = STAND_INS.resolve("cublaslt");
    /** A libcuda, libcudart and libcublas without functions. */
    static final Path EMPTY = STAND_INS.resolve("empty");
    /** A libcuda that says it is for CUDA 12.4. */
    static final Path OLD_DRIVER = STAND_INS.resolve("old");

    private OtherJvm() {}

    public record Run(int code, List<String> out, List<String> err) {
        /** What it printed, if it came to its end. */
        public List<String> done() {
            if (code != 0) {
                throw new AssertionError(String.join("\n", err));
            }
            return out;
        }
    }

    /** The class path of the tests. */
    public static String classes() {
        return System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    }

    public static Run run(List<Path> libraries, Class<?> main, String... args) throws IOException, InterruptedException {
        return run(classes(), libraries, List.of(), main, args);
    }

    /** @param options of the JVM */
    public static Run run(String classes, List<Path> libraries, List<String> options, Class<?> main, String... args) throws IOException, InterruptedException {
        return run(classes, Map.of("LD_LIBRARY_PATH", libraries.stream().map(Path::toString).collect(Collectors.joining(":"))), options, main, args);
    }

    /**
     * Runs it where the device cuda is no GPU: what nvcc made of the CUDA backend, its host code and its kernels' PTX, run on the
     * CPU, or, where there is no nvcc, simt; and cuBLASLt is its stand-in.
     *
     * @param late whether its stream does everything as late as it may, in memory that the host cannot read
     */
    public static Run onStandInGpu(boolean late, List<String> options, Class<?> main, String... args) throws IOException, InterruptedException {
        String classes = (hasPtx() ? PTX : STAND_INS.resolve("gpu")) + ":" + classes();
        return run(classes, Map.of("LD_LIBRARY_PATH", CUBLASLT + ":" + EMPTY, "WARPBERT_SIMT_STREAM", late ? "late" : "eager",
                "WARPBERT_SIMT_MEMORY", late ? "apart" : "shared"), options, main, args);
    }

    /** Whether nvcc was there to make what {@link #onStandInGpu} then runs. */
    static boolean hasPtx() {
        return Files.isDirectory(PTX);
    }

    /** @param environment beside this process's */
    static Run run(String classes, Map<String, String> environment, List<String> options, Class<?> main, String... args) throws IOException, InterruptedException {
        List<String> line = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
        String cache = System.getProperty("org.bytedeco.javacpp.cachedir"); // this build's own
        if (cache != null) {
            line.add("-Dorg.bytedeco.javacpp.cachedir=" + cache);
        }
        line.addAll(options);
        line.addAll(List.of("-cp", classes, main.getName()));
        line.addAll(List.of(args));
        Path err = Files.createTempFile("warpbert", ".err");
        try {
            ProcessBuilder builder = new ProcessBuilder(line).redirectError(err.toFile());
            builder.environment().putAll(environment);
            Process process = builder.start();
            String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return new Run(process.waitFor(), out.lines().toList(), Files.readAllLines(err));
        } finally {
            Files.delete(err);
        }
    }
}
