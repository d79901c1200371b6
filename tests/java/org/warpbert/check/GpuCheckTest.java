package org.warpbert.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.backend.OtherJvm;
import org.warpbert.train.RunFolder;

/** gpu-check as a machine with a GPU runs it, on simt: without libtorch, each step in its own process. */
class GpuCheckTest {
    @TempDir Path folder;

    private static final List<String> OPTIONS = List.of("-Xmx1g", "-Dorg.bytedeco.javacpp.maxbytes=0");

    /** What the package has: no reference libraries. */
    private static String classes() {
        return Arrays.stream(OtherJvm.classes().split(File.pathSeparator))
                .filter(entry -> !entry.matches(".*(pytorch|onnxruntime).*")).collect(Collectors.joining(File.pathSeparator));
    }

    private OtherJvm.Run check(List<String> options, String... args) throws IOException, InterruptedException {
        List<String> all = new ArrayList<>(List.of("--device", "simt", "--out", folder.toString()));
        all.addAll(List.of(args));
        List<String> given = new ArrayList<>(OPTIONS);
        given.addAll(options);
        return OtherJvm.run(classes(), List.of(), given, GpuCheck.class, all.toArray(String[]::new));
    }

    private JsonNode report() throws IOException {
        assertTrue(Files.size(folder.resolve("gpu-check.log")) > 0);
        return RunFolder.JSON.readTree(folder.resolve("gpu-check.json").toFile());
    }

    private static String outcomes(JsonNode report) {
        List<String> all = new ArrayList<>();
        report.get("steps").forEach(step -> all.add(step.get("name").asText() + " " + step.get("outcome").asText()));
        return String.join(", ", all);
    }

    /** The table of all ops without libtorch, as the package runs it; by one method of the tests, as a tool that slows all down does. */
    @Test
    void theCpuStandsInForLibtorch() throws IOException, InterruptedException {
        Path result = folder.resolve("found.json");
        OtherJvm.Run run = OtherJvm.run(classes(), List.of(), OPTIONS, CheckStep.class, result.toString(), "simt", "null", "null", "parity OpParityTest#agreesInSixteenBits");
        Found found = RunFolder.JSON.readValue(result.toFile(), Found.class);
        assertEquals(Found.Outcome.PASSED, found.outcome(), found.detail() + run.out());
        assertTrue((int) found.figures().get("cases") > 200, found.detail());
    }

    @Test
    void stepsPassUnderSimt() throws IOException, InterruptedException {
        OtherJvm.Run run = check(List.of(), "--only", "parity DropoutTest,training small bf16,determinism fp16,memory,budget 4GiB,graphs bf16,step-graphs bf16,cudnn");
        assertEquals(0, run.code(), run.out() + "\n" + run.err());
        JsonNode report = report();
        assertEquals("device PASSED, parity DropoutTest PASSED, training small bf16 PASSED, "
                + "determinism fp16 PASSED, memory bf16 PASSED, budget 4GiB 2 PASSED, graphs bf16 PASSED, step-graphs bf16 PASSED, cudnn SKIPPED", outcomes(report));
        assertTrue(report.get("passed").asBoolean());
        assertEquals("simt", report.at("/machine/device").asText());
        assertTrue(report.at("/steps/1/figures/cases").asInt() >= 5, report.toString());
        assertTrue(report.at("/steps/2/figures/largest_difference_of_smoothed_loss").asDouble() > 0, "bf16 is not float32");
        assertEquals(report.at("/steps/5/figures/planned_bytes").asLong(), report.at("/steps/5/figures/held_bytes").asLong());
        assertEquals(8, report.at("/steps/2/figures/losses").size());
        assertTrue(report.at("/steps/6/figures/tokens_12/graph_host/median").asDouble() > 0, report.toString());
        assertTrue(report.at("/steps/7/figures/graphs/pipelined/median").asDouble() > 0, report.toString());
    }

    /** The device cuda as a machine with a GPU has it, above stand-ins for CUDA's runtime and cuBLASLt; its figures are no GPU's. */
    @Test
    void aStandInGpuIsCheckedAsAGpuIs() throws IOException, InterruptedException {
        OtherJvm.Run run = OtherJvm.onStandInGpu(true, OPTIONS, GpuCheck.class, "--out", folder.toString(), "--only", "parity BackendTest,recovery");
        assertEquals(0, run.code(), run.out() + "\n" + run.err());
        JsonNode report = report();
        assertEquals("device PASSED, parity BackendTest PASSED, recovery PASSED", outcomes(report));
        assertEquals("cuda", report.get("asked").asText());
        assertEquals("simt", report.at("/machine/device").asText());
        assertTrue(report.at("/machine/description").asText().contains("schedule ordered, late"), report.toString());
    }

    /** Every backend's second request for memory is refused: cases fail, and are in the report. */
    @Test
    void aPlantedFailureIsReported() throws IOException, InterruptedException {
        OtherJvm.Run run = check(List.of("-Dwarpbert.fail-alloc=2"), "--only", "parity DropoutTest");
        assertEquals(1, run.code(), run.out().toString());
        JsonNode report = report();
        assertEquals("device PASSED, parity DropoutTest FAILED", outcomes(report));
        assertFalse(report.get("passed").asBoolean());
        assertTrue(report.at("/steps/1/detail").asText().contains("made to fail"), report.toString());
    }

    @Test
    void whatHasNoTimeLeftIsSkipped() throws IOException, InterruptedException {
        OtherJvm.Run run = check(List.of(), "--minutes", "0");
        assertEquals(1, run.code(), "nothing has passed");
        JsonNode report = report();
        assertFalse(report.get("passed").asBoolean());
        assertEquals(Plan.of("simt", false).size(), report.get("steps").size());
        report.get("steps").forEach(step -> assertEquals("SKIPPED", step.get("outcome").asText(), step.toString()));
    }

    /** Errors of a broken device speak of it, and so does this one. */
    @Test
    void whatABrokenDeviceFailsIsRunOnceMore() throws IOException, InterruptedException {
        StepProcess.Ended ended = StepProcess.run(new Plan.Step("CUDA_LAUNCH_BLOCKING", 60), 60, "simt", null, null);
        assertEquals("no step CUDA_LAUNCH_BLOCKING; with CUDA_LAUNCH_BLOCKING=1 and -Dwarpbert.graphs=false: no step CUDA_LAUNCH_BLOCKING", ended.found().detail());
        assertEquals(2, ended.output().split("IllegalArgumentException: no step", -1).length - 1, ended.output());
    }

    @Test
    void aProcessThatDiesOrHangsHasFailed() throws IOException, InterruptedException {
        Plan.Step device = new Plan.Step(Plan.DEVICE, 60);
        String classes = System.getProperty("java.class.path");
        try {
            System.setProperty("java.class.path", folder.toString());
            Found died = StepProcess.run(device, 60, "simt", null, null).found();
            assertEquals(Found.Outcome.FAILED, died.outcome());
            assertTrue(died.detail().startsWith("its process ended with code 1: ") && died.detail().contains("CheckStep"), died.detail());
        } finally {
            System.setProperty("java.class.path", classes);
        }
        Found hung = StepProcess.run(new Plan.Step(Plan.DEVICE, 0), 60, "simt", null, null).found();
        assertEquals(Found.failed("it had not ended after 0 s; where its threads stood is in the log", java.util.Map.of()), hung);
        String stood = StepProcess.run(new Plan.Step("parity OpParityTest", 4), 60, "simt", null, null).output();
        assertTrue(stood.contains("Full thread dump") && stood.contains("org.warpbert.check.ParityCheck.run"), stood);
        assertEquals(Found.Outcome.SKIPPED, StepProcess.run(device, 0.001, "simt", null, null).found().outcome(), "not its own fault");
    }
}
