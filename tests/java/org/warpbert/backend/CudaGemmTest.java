package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * CudaGemm's own code, call by call, against a stand-in that reads its descriptors as cuBLASLt does: what is asked of the
 * library is checked here, what the library does with it on a GPU is not.
 */
class CudaGemmTest {
    private static final Path STAND_IN = Path.of("target", "native", "cublaslt").toAbsolutePath();
    private static final Path EMPTY = STAND_IN.resolve("empty"); // libcuda, libcudart, libcublas

    private record Run(int code, List<String> out, List<String> err) {}

    private static Run run(List<Path> libraries, String... args) throws IOException, InterruptedException {
        String classes = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
        ProcessBuilder builder = new ProcessBuilder(Stream.concat(Stream.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Dorg.bytedeco.javacpp.maxphysicalbytes=0", "-cp", classes, CudaGemmOnStandIn.class.getName()), Arrays.stream(args)).toList());
        builder.environment().put("LD_LIBRARY_PATH", libraries.stream().map(Path::toString).collect(Collectors.joining(":")));
        Path err = Files.createTempFile("warpbert", "err");
        Process process = builder.redirectError(err.toFile()).start();
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        int code = process.waitFor();
        Run run = new Run(code, out.lines().toList(), Files.readAllLines(err));
        Files.delete(err);
        return run;
    }

    @Test
    void productsInEveryTypeAndAlignment() throws IOException, InterruptedException {
        Run run = run(List.of(STAND_IN, EMPTY));
        assertEquals(0, run.code, () -> String.join("\n", run.err));
        List<String> told = run.err.stream().filter(line -> line.startsWith("cuBLASLt's stand-in: ")).toList();
        assertEquals(2, told.size());
        assertTrue(told.stream().allMatch(line -> line.endsWith(", 0 objects left")), told.toString());
        // 5 sizes, 3 shifts, 3 types: 3 products each, and one more with the bias fused where it is float32; each asked for once,
        // though used twice. Shifted by 1 and by 4, addresses differ in their alignment. And one that is refused.
        assertTrue(told.get(0).contains(": " + (5 * 3 * 3 * 3 + 5 * 3 + 1) + " heuristics"), told.toString());
    }

    @Test
    void aMissingLibraryIsNamedEachTime() throws IOException, InterruptedException {
        for (List<Path> libraries : List.of(List.of(STAND_IN), List.of(EMPTY))) {
            Run run = run(libraries, "load");
            assertEquals(0, run.code, () -> String.join("\n", run.err));
            String missing = libraries.contains(EMPTY) ? "libcublasLt.so.13" : "libcuda.so.1";
            assertEquals(2, run.out.size());
            assertTrue(run.out.get(0).startsWith("cuBLAS 13 cannot be loaded: " + missing + ": cannot open shared object file"), run.out.get(0));
            assertTrue(run.out.get(0).contains("LD_LIBRARY_PATH"));
            assertEquals(run.out.get(0), run.out.get(1), "the second time for the same reason");
        }
    }
}
