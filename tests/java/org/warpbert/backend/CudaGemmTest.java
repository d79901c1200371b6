package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * CudaGemm's own code, call by call, against a stand-in that reads its descriptors as cuBLASLt does: what is asked of the
 * library is checked here, what the library does with it on a GPU is not.
 */
class CudaGemmTest {
    @Test
    void productsInEveryTypeAndAlignment() throws IOException, InterruptedException {
        OtherJvm.Run run = OtherJvm.run(List.of(OtherJvm.CUBLASLT, OtherJvm.EMPTY), CudaGemmOnStandIn.class);
        run.done();
        List<String> told = run.err().stream().filter(line -> line.startsWith("cuBLASLt's stand-in: ")).toList();
        assertEquals(3, told.size());
        assertTrue(told.stream().allMatch(line -> line.endsWith(", 0 objects left")), told.toString());
        // 5 sizes, 3 shifts, 3 types: 3 products each, and two more with a bias fused, of either alignment; each asked for once,
        // though used twice. Shifted by 1 and by 4, addresses differ in their alignment. Three with an activation for 3 sizes and 2 types, also where
        // the library has none. And one that is refused.
        assertTrue(told.get(0).contains(": " + (5 * 3 * 3 * 5 + 3 * 3 * 2 + 1) + " heuristics"), told.toString());
        assertEquals(products(told.get(1)) + 2, products(told.get(2)), "one eager, one at a capture, none at five launches");
    }

    private static int products(String line) {
        return Integer.parseInt(line.replaceFirst(".* (\\d+) products.*", "$1"));
    }

    /** What a kernel did is told by a later call: the library's own word for it names nothing, and is no reason to run a step again as gpu-check does. */
    @Test
    void aKernelsFaultIsToldBesideTheLibrarysWord() throws IOException, InterruptedException {
        assumeTrue(OtherJvm.hasPtx(), "simt does not notice a kernel that leaves its memory");
        String told = OtherJvm.onStandInGpu(true, List.of(), CudaGemmOnStandIn.class, CudaGemmOnStandIn.FAULT).done().get(0);
        assertTrue(told.startsWith("cuda backend, gemm it: cuBLASLt 13.2.3 says CUBLAS_STATUS_INVALID_VALUE; ") && told.contains("the last kernel launched was ")
                && told.contains("CUDA_LAUNCH_BLOCKING=1"), told);
    }

    /** Python's packages lie where the dynamic loader does not look; they are found all the same, without LD_LIBRARY_PATH. */
    @Test
    void librariesOfPythonsPackagesAreFound(@TempDir Path home) throws IOException, InterruptedException {
        Path packages = Files.createDirectories(home.resolve(".local/lib/python3.99/site-packages/nvidia/cu13/lib"));
        Files.copy(OtherJvm.CUBLASLT.resolve("libcublasLt.so.13"), packages.resolve("libcublasLt.so.13"));
        OtherJvm.Run run = OtherJvm.run(OtherJvm.classes(), List.of(OtherJvm.EMPTY),
                List.of("-Duser.home=" + home), CudaGemmOnStandIn.class);
        run.done();
        assertEquals(3, run.err().stream().filter(line -> line.startsWith("cuBLASLt's stand-in: ")).count());
    }

    /** So are those of a Python that is nowhere near the usual places, and no environment of it active: it says itself where it looks. */
    @Test
    void librariesOfThePythonOnThePathAreFound(@TempDir Path folder) throws IOException, InterruptedException {
        Path packages = folder.resolve("some where/site-packages");
        Path libraries = Files.createDirectories(packages.resolve("nvidia/cu13/lib"));
        Files.copy(OtherJvm.CUBLASLT.resolve("libcublasLt.so.13"), libraries.resolve("libcublasLt.so.13"));
        Path python = Files.writeString(folder.resolve("python3"), "#!/bin/sh\n[ \"$1\" = -c ] && printf '\\n/nowhere.zip\\n%s\\n' '" + packages + "'\n");
        assertTrue(python.toFile().setExecutable(true));
        OtherJvm.Run run = OtherJvm.run(OtherJvm.classes(),
                Map.of("LD_LIBRARY_PATH", OtherJvm.EMPTY.toString(), "PATH", folder + ":" + System.getenv("PATH")),
                List.of("-Duser.home=" + folder), CudaGemmOnStandIn.class);
        run.done();
        assertEquals(3, run.err().stream().filter(line -> line.startsWith("cuBLASLt's stand-in: ")).count());
    }

    @Test
    void aMissingLibraryIsNamedEachTime() throws IOException, InterruptedException {
        Map<Path, String> missing = Map.of(OtherJvm.CUBLASLT, "libcuda.so.1", OtherJvm.EMPTY, "libcublasLt.so.13");
        for (Map.Entry<Path, String> only : missing.entrySet()) {
            List<String> out = OtherJvm.run(List.of(only.getKey()), CudaGemmOnStandIn.class, "load").done();
            assertEquals(2, out.size());
            assertTrue(out.get(0).startsWith("cuBLAS 13 cannot be loaded: " + only.getValue() + ": cannot open shared object file"), out.get(0));
            assertTrue(out.get(0).contains("LD_LIBRARY_PATH"));
            assertEquals(out.get(0), out.get(1), "the second time for the same reason");
        }
    }
}
