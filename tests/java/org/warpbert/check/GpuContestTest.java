package org.warpbert.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.backend.OtherJvm;

/** benchmarks/run-gpu.sh and the programs beside it, on simt and without a GPU: PyTorch's engines are then told as absent. */
class GpuContestTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir Path folder;

    private record Run(int code, String out) {}

    @BeforeAll
    static void python() {
        boolean there;
        try {
            there = new ProcessBuilder("python3", "-c", "import sys; sys.exit(sys.version_info < (3, 10))").start().waitFor() == 0;
        } catch (IOException | InterruptedException e) {
            there = false;
        }
        assumeTrue(there, "python3 (3.10 or newer) is not installed");
    }

    private Run run(String... line) throws IOException, InterruptedException {
        Path launcher = folder.resolve("warpbert");
        Files.writeString(launcher, "#!/bin/sh\nexec '" + Path.of(System.getProperty("java.home"), "bin", "java") + "' -Xmx1g -Dorg.bytedeco.javacpp.maxphysicalbytes=0 '-Dorg.bytedeco.javacpp.cachedir="
                + System.getProperty("org.bytedeco.javacpp.cachedir", System.getProperty("user.home") + "/.javacpp/cache") + "' -cp '"
                + OtherJvm.classes() + "' org.warpbert.cli.Main \"$@\"\n");
        assertTrue(launcher.toFile().setExecutable(true));
        ProcessBuilder builder = new ProcessBuilder(line).redirectErrorStream(true);
        builder.environment().putAll(java.util.Map.of("WARPBERT", launcher.toString(), "RESULTS", folder.toString(), "DEVICE", "simt", "SMALL", "yes",
                "CUDA_VISIBLE_DEVICES", "", "PYTHONDONTWRITEBYTECODE", "1"));
        Process process = builder.start();
        process.getOutputStream().close();
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Run(process.waitFor(), out);
    }

    private JsonNode json(String name) throws IOException {
        return JSON.readTree(folder.resolve(name).toFile());
    }

    @Test
    void thePythonPartsDoWhatTheySay() throws IOException, InterruptedException {
        Run run = run("python3", "-m", "unittest", "discover", "-s", "benchmarks/gpu", "-v");
        assertEquals(0, run.code, run.out);
        assertTrue(run.out.contains("Ran ") && !run.out.contains("Ran 0 tests"), run.out);
    }

    @Test
    void enginesTakeTurnsAndThoseThatAreNotThereAreNamed() throws IOException, InterruptedException {
        Run run = run("benchmarks/run-gpu.sh", "contests", "train-cola-own", "infer-one");
        assertEquals(1, run.code, run.out);
        JsonNode own = json("gpu-train-cola-own.json");
        assertEquals(List.of("WarpBERT, packed", "WarpBERT, padded to 64"), own.get("engines").findValuesAsText("name"));
        assertEquals(List.of("packed", "padded"), own.at("/engines").findValuesAsText("layout").stream().filter(l -> l.startsWith("pa")).distinct().toList());
        double ratio = own.at("/engines/1/seconds/0").asDouble() / own.at("/engines/0/seconds/0").asDouble();
        assertEquals(ratio, own.at("/ratios/0/times_as_fast").asDouble(), 1e-9);
        assertTrue(own.at("/engines/0/about/result/0").asDouble() > 0, "a loss");
        assertEquals(0, own.get("absent").size());
        JsonNode one = json("gpu-infer-one.json");
        assertEquals(1, one.get("engines").size());
        assertEquals(4, one.get("absent").size());
        one.get("absent").forEach(engine -> assertTrue(engine.get("failed").asBoolean() && engine.get("reason").asText().startsWith("it ended, code "), engine.toString()));
        for (String name : List.of("gpu-train-cola-own.json", "gpu-infer-one.json")) { // what a GPU leaves has the same shape
            ObjectNode report = (ObjectNode) json(name);
            ((ObjectNode) report.get("machine")).put("device", "cuda");
            Files.writeString(folder.resolve(name), report.toString());
        }
        String page = GpuFigures.section(folder, "results");
        assertTrue(page.contains("| WarpBERT, padded to 64 | ") && page.contains("| torch.compile | not yet run: it ended, code "), page);
    }

    @Test
    void aStepThatFailsStopsNoOther() throws IOException, InterruptedException {
        Run run = run("benchmarks/run-gpu.sh", "ops");
        assertEquals(0, run.code, run.out);
        List<String> devices = new ArrayList<>();
        for (String lengths : List.of("512", "128", "cola")) {
            devices.add(json("gpu-bench-ops-" + lengths + ".json").get("clock").asText());
            assertTrue(json("gpu-bench-train-" + lengths + ".json").at("/figures/0/median").asDouble() > 0);
        }
        assertEquals(List.of("device, caches cleared"), devices.stream().distinct().toList());
        Run failed = run("env", "DEVICE=none", "benchmarks/run-gpu.sh", "ops");
        assertEquals(1, failed.code, failed.out);
        assertEquals(9, failed.out.lines().filter(line -> line.contains("FAILED, code 1")).count(), failed.out);
        assertEquals(2, run("benchmarks/run-gpu.sh", "fly").code);
        Run late = run("env", "MINUTES=0", "benchmarks/run-gpu.sh", "ops");
        assertEquals(1, late.code, late.out);
        assertEquals(9, late.out.lines().filter(line -> line.contains("not ended")).count(), late.out);
    }
}
