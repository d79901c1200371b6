package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.bench.Lengths;

/** {@code warpbert bench} on a tiny model: what it says and writes, and when it fails. */
class BenchCommandTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir Path folder;

    private JsonNode measured(String... more) throws IOException {
        Path file = folder.resolve("report.json");
        List<String> args = new ArrayList<>(List.of("bench", "--model", "random:bert-tiny", "--batch-size", "4", "--lengths", "cola",
                "--warmup", "1", "--repeats", "3", "--threads", "1", "--json", file.toString()));
        args.addAll(1, List.of(more));
        CommandRun run = CommandRun.of(args.toArray(String[]::new)).done();
        assertTrue(run.out().contains("matrix products") && run.out().contains("copy"), run.out());
        return JSON.readTree(file.toFile());
    }

    @Test
    void aTrainingStepWithItsMachineAndFormula() throws IOException {
        JsonNode report = measured("train");
        assertEquals(1, report.at("/machine/threads").asInt());
        for (String field : List.of("device", "description", "cpu", "java", "date")) {
            assertTrue(report.path("machine").path(field).asText().length() > 1, field);
        }
        JsonNode work = report.path("work");
        int[] lengths = Lengths.parse("cola").batch(4, 42);
        long weights = 2 * (4L * 128 * 128 + 2 * 128 * 512);
        double flop = 0;
        int tokens = 0;
        for (int n : lengths) {
            tokens += n;
            flop += n * (6.0 * weights + 12.0 * 2 * 128 * n) - (n - 1) * (6.0 * (128 * 128 + 2 * 128 * 512) + 12.0 * 128 * n);
        }
        assertEquals(weights, work.path("encoder_weights").asLong());
        assertEquals(tokens, work.path("real_tokens").asInt());
        assertEquals(tokens / (4 * 64.0), work.path("fill").asDouble(), 1e-12);
        assertEquals(flop * 1e-9, work.path("train_gflop").asDouble(), 1e-12);
        JsonNode step = report.at("/figures/0");
        assertEquals(3, step.path("repeats").asInt());
        assertTrue(step.path("median").asDouble() > 0 && step.path("spread").asDouble() >= 0);
        assertEquals(flop * 1e-9 / step.path("median").asDouble(), step.at("/rates/model_gflops").asDouble(), 1e-9);
        assertEquals(step.at("/rates/model_gflops").asDouble() / report.path("gemm_gflops").asDouble(), step.at("/rates/share_of_gemm").asDouble(), 1e-9);
        assertTrue(report.path("flop_formula").asText().contains("6 N + 12 L H s per real token"));
    }

    @Test
    void inferenceHasLatencyAndThroughput() throws IOException {
        JsonNode report = measured("infer", "--layout", "padded", "--peak-tflops", "2");
        assertEquals(List.of("latency", "batch"), report.path("figures").findValuesAsText("name"));
        JsonNode batch = report.at("/figures/1/rates");
        assertEquals(4 / report.at("/figures/1/median").asDouble(), batch.path("sequences_per_second").asDouble(), 1e-6);
        assertEquals(batch.path("model_gflops").asDouble() / 2000, batch.path("model_flop_utilisation").asDouble(), 1e-9);
        assertEquals(4 * 64, report.at("/work/computed_tokens").asInt());
    }

    /** What was recorded is measured again; the crafted record decides. */
    @Test
    void theGate() throws IOException {
        ObjectNode report = (ObjectNode) measured("train");
        Path record = folder.resolve("record.json");
        ObjectNode figure = (ObjectNode) report.at("/figures/0");
        figure.put("median", 1000).put("spread", 0.01);
        Files.writeString(record, report.toString());
        CommandRun passed = CommandRun.of("bench", "--compare", record.toString()).done();
        assertTrue(passed.out().contains("faster") && passed.out().contains("5.0%"), passed.out());
        figure.put("median", 1e-9);
        Files.writeString(record, report.toString());
        CommandRun failed = CommandRun.of("bench", "--compare", record.toString());
        assertEquals(1, failed.code());
        assertTrue(failed.out().contains("slower"), failed.out());
        assertTrue(failed.err().contains("1 of 1 figures are worse than " + record), failed.err());
        ((ObjectNode) report.get("machine")).put("threads", 64);
        Files.writeString(record, report.toString());
        CommandRun.of("bench", "--compare", record.toString()).failedWith("was measured with another thread count ('64', here '1')");
        CommandRun.of("bench", "train", "--lengths", "nsmc", "--compare", record.toString()).failedWith("was measured with another");
    }

    /** What a contest's driver sees: ready, the nanoseconds of each turn, and what the engine is; the batch is in the file. */
    @Test
    void turnsAreTakenAsTheyAreAskedFor() throws IOException {
        Path batch = folder.resolve("batch.json");
        for (String what : List.of("train", "infer")) {
            List<String> lines = CommandRun.withInput("run 2\nrun 1\nend\n", "bench", what, "--model", "random:bert-tiny", "--batch-size", "3", "--lengths", "cola",
                    "--layout", "padded", "--threads", "1", "--turns", batch.toString()).done().out().lines().toList();
            assertEquals(4, lines.size(), lines.toString());
            assertEquals("ready", lines.get(0));
            assertTrue(Long.parseLong(lines.get(1)) > 0 && Long.parseLong(lines.get(2)) > 0, lines.toString());
            JsonNode about = JSON.readTree(lines.get(3));
            assertEquals("padded", about.path("layout").asText());
            assertEquals(what.equals("train") ? 1 : 2 * 3, about.path("result").size(), "a loss, or logits");
            JsonNode written = JSON.readTree(batch.toFile());
            int[] lengths = Lengths.parse("cola").batch(3, 42);
            for (int i = 0; i < 3; i++) {
                assertEquals(lengths[i], written.path("sequences").path(i).size(), "without padding");
            }
            assertEquals(3, written.path("labels").size());
            assertEquals(64, written.path("padded_length").asInt());
        }
        List<String> atEnd = CommandRun.withInput("", "bench", "infer", "--model", "random:bert-tiny", "--batch-size", "1", "--turns", batch.toString()).done().out().lines().toList();
        assertEquals(List.of("ready", 2), List.of(atEnd.get(0), JSON.readTree(atEnd.get(1)).path("result").size()), "no turn: the logits of what it did before it was ready");
    }

    @Test
    void wrongUsage() {
        CommandRun.of("bench").misusedWith("ops, train or infer");
        CommandRun.of("bench", "fly").misusedWith("fly");
        CommandRun.of("bench", "ops", "--json", folder.toString()).misusedWith("--json", "is a folder");
        CommandRun.of("bench", "ops", "--turns", "batch.json").misusedWith("--turns is for train and infer");
        CommandRun.of("bench", "train", "--turns", "batch.json", "--json", "x.json").misusedWith("without --json and --compare");
        CommandRun.of("bench", "train", "--lengths", "glue").misusedWith("--lengths is 'glue'", "fill:SHARE@N");
        CommandRun.of("bench", "train", "--layout", "ragged").misusedWith("--layout is 'ragged'");
        CommandRun.of("bench", "train", "--repeats", "0").misusedWith("'--repeats': it must be at least 1, not 0");
        CommandRun.of("bench", "train", "--batch-size", "2000000000").misusedWith("--batch-size 2000000000", "128 tokens");
        CommandRun.of("bench", "train", "--peak-tflops", "-1").misusedWith("--peak-tflops is -1.0");
        CommandRun.of("bench", "train", "--model", "random:bert-huge").failedWith("random weights are known for bert-tiny");
        CommandRun.of("bench", "train", "--model", "random:bert-tiny", "--lengths", "fixed:600").failedWith("600 tokens", "512 positions");
        CommandRun.of("bench", "train", "--compare", "none.json").failedWith("none.json", "there is no such file");
    }
}
