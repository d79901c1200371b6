package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.warpbert.backend.OtherJvm;
import org.warpbert.task.TinyModel;
import org.warpbert.train.RunFolder;

/**
 * {@code --device cuda}, whole, where there is no GPU: the kernels, the host code of {@code context.cu} and CudaGemm as they
 * are, above stand-ins for CUDA's runtime ({@code native/simt/runtime.cpp}) and for cuBLASLt. What a GPU does while the host
 * goes on is done as late as it may be, in memory that the host cannot read.
 */
class StandInGpuTest {
    @TempDir static Path folder;
    private static Path model;
    private static Path data;

    @BeforeAll
    static void write() throws IOException {
        model = TinyModel.write(folder.resolve("model"), 64, 2);
        data = TinyModel.data(folder.resolve("data.tsv"), 30, 2, 41, 9, 24, 17, 5, 38, 23, 12, 30, 2, 41, 9, 24, 17, 5, 38, 23, 12);
    }

    private static OtherJvm.Run run(boolean late, String... args) throws IOException, InterruptedException {
        return OtherJvm.onStandInGpu(late, List.of(), Main.class, args);
    }

    private static String[] finetune(String device, String precision, Path out, String... more) {
        List<String> args = new ArrayList<>(List.of("finetune", "--model", model.toString(), "--train", data.toString(), "--text", "text", "--label", "label",
                "--epochs", "3", "--batch-size", "8", "--lr", "1e-3", "--seed", "5", "--dev-split", "0.2", "--device", device, "--precision", precision,
                "--out", out.toString()));
        args.addAll(List.of(more));
        return args.toArray(String[]::new);
    }

    /** With graphs, uploads from two page-locked blocks in turn, losses read a step later: nobody is early. */
    @ParameterizedTest
    @ValueSource(strings = {"bf16", "fp16"})
    void aStreamThatIsLateGivesTheSameBits(String precision) throws IOException, InterruptedException {
        Path early = folder.resolve(precision + " early");
        Path late = folder.resolve(precision + " late");
        run(false, finetune("cuda", precision, early)).done();
        List<String> told = run(true, finetune("cuda", precision, late)).done();
        assertArrayEquals(Files.readAllBytes(early.resolve("model.safetensors")), Files.readAllBytes(late.resolve("model.safetensors")));
        assertTrue(told.stream().anyMatch(line -> line.contains("The run is in")), told.toString());
    }

    /** In micro-batches; and what was trained answers as on the CPU. */
    @Test
    void float32IsTheCpus() throws IOException, InterruptedException {
        Path gpu = folder.resolve("gpu");
        Path cpu = folder.resolve("cpu");
        OtherJvm.Run run = run(true, finetune("cuda", "f32", gpu, "--memory", "835MiB"));
        run.done();
        CommandRun.of(finetune("cpu", "f32", cpu)).done();
        assertTrue(run.err().stream().anyMatch(line -> line.contains("micro-batches")) || run.out().stream().anyMatch(line -> line.contains("micro-batches")), run.toString());
        List<JsonNode> measured = lines(Files.readAllLines(gpu.resolve("metrics.jsonl")));
        List<JsonNode> expected = lines(Files.readAllLines(cpu.resolve("metrics.jsonl")));
        assertEquals(6, expected.size());
        for (int i = 0; i < expected.size(); i++) {
            double loss = expected.get(i).get("loss").asDouble();
            assertEquals(loss, measured.get(i).get("loss").asDouble(), 1e-4 * loss, "step " + (i + 1));
        }
        double[] losses = expected.stream().mapToDouble(step -> step.get("loss").asDouble()).sorted().toArray();
        assertTrue(losses[5] - losses[0] > 0.01, "they are far from alike: " + expected);

        String[] predict = {"predict", "--model", gpu.toString(), "--precision", "f32", "--json", "w1 w2 w3", "w40 w7"};
        List<JsonNode> there = lines(run(true, with(predict, "--device", "cuda")).done());
        List<JsonNode> here = lines(CommandRun.of(with(predict, "--device", "cpu")).done().out().lines().toList());
        assertEquals(2, there.size());
        for (int i = 0; i < 2; i++) {
            assertEquals(here.get(i).get("label"), there.get(i).get("label"));
            assertEquals(here.get(i).get("score").asDouble(), there.get(i).get("score").asDouble(), 1e-4, here.get(i).toString());
        }
    }

    private static String[] with(String[] args, String... more) {
        List<String> all = new ArrayList<>(List.of(args));
        all.addAll(List.of(more));
        return all.toArray(String[]::new);
    }

    private static List<JsonNode> lines(List<String> json) throws IOException {
        List<JsonNode> all = new ArrayList<>();
        for (String line : json) {
            all.add(RunFolder.JSON.readTree(line));
        }
        return all;
    }
}
