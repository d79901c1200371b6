package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.backend.CpuBf16;
import org.warpbert.task.TinyModel;

/** {@code --device cpu --precision bf16} with every command: close to what float32 gives, and not the same. */
@EnabledIf(value = "org.warpbert.backend.CpuBf16#isHad", disabledReason = CpuBf16.ABSENT)
class CpuBf16CommandsTest {
    private static final double OFF = 2e-2; // bfloat16's products are off by some thousandths, of two layers

    @TempDir static Path folder;
    private static Path data;
    private static Path model;

    @BeforeAll
    static void write() throws IOException {
        model = TinyModel.write(folder.resolve("model"), 64, 2);
        data = TinyModel.data(folder.resolve("data.tsv"), Collections.nCopies(24, 7).stream().mapToInt(n -> n).toArray());
    }

    private static CommandRun run(String precision, String command, String... options) {
        List<String> args = new ArrayList<>(List.of(command, "--device", "cpu", "--precision", precision));
        args.addAll(List.of(options));
        return CommandRun.of(args.toArray(String[]::new)).done();
    }

    private static JsonNode finetuned(String precision) throws IOException {
        return run(precision, "finetune", "--model", model.toString(), "--train", data.toString(), "--text", "text", "--label", "label", "--epochs", "3",
                "--lr", "1e-3", "--batch-size", "4", "--out", folder.resolve(precision).toString(), "--overwrite", "--json").json();
    }

    private static void assertNear(double exact, double rounded, String what) {
        assertEquals(exact, rounded, OFF * Math.abs(exact), what);
        assertNotEquals(exact, rounded, what + " was not computed in bfloat16");
    }

    private static void assertNear(JsonNode exact, JsonNode rounded, String what) {
        double size = 0;
        double distance = 0;
        for (int i = 0; i < exact.size(); i++) {
            size += Math.pow(exact.path(i).asDouble(), 2);
            distance += Math.pow(exact.path(i).asDouble() - rounded.path(i).asDouble(), 2);
        }
        assertTrue(distance > 0 && Math.sqrt(distance / size) < OFF, what + ": " + Math.sqrt(distance / size));
    }

    @Test
    void finetunesAndItsRunIsUsed() throws IOException {
        JsonNode exact = finetuned("f32");
        JsonNode rounded = finetuned("bf16");
        assertEquals("bf16", rounded.path("precision").asText());
        assertTrue(rounded.path("device_description").asText().contains("operands rounded to bf16"), rounded.path("device_description").asText());
        for (int epoch = 0; epoch < 3; epoch++) {
            assertNear(exact.path("epochs").path(epoch).path("train_loss").asDouble(), rounded.path("epochs").path(epoch).path("train_loss").asDouble(), "loss");
        }
        Path run = folder.resolve("bf16");
        String header = new String(Files.readAllBytes(run.resolve("model.safetensors")), StandardCharsets.ISO_8859_1);
        assertTrue(header.contains("\"F32\"") && !header.contains("\"BF16\""), "what is saved is float32");

        String[] evaluate = {"--model", run.toString(), "--data", data.toString(), "--text", "text", "--label", "label", "--json"};
        assertNear(run("f32", "evaluate", evaluate).json().path("loss").asDouble(), run("bf16", "evaluate", evaluate).json().path("loss").asDouble(), "evaluate");
        String[] predict = {"--model", run.toString(), "--json", "w1 w2 w3"};
        assertNear(run("f32", "predict", predict).json().at("/scores/good").asDouble(), run("bf16", "predict", predict).json().at("/scores/good").asDouble(), "predict");
        String[] embed = {"--model", run.toString(), "w1 w2 w3"};
        assertNear(run("f32", "embed", embed).json().path("embedding"), run("bf16", "embed", embed).json().path("embedding"), "embed");
    }

    @Test
    void pretrainsAndFillsMasks() throws IOException {
        Path text = Files.writeString(folder.resolve("text.txt"), "the cat drinks milk .\nthe horse eats hay .\n\n".repeat(20));
        String out = folder.resolve("pretrained").toString();
        JsonNode summary = run("bf16", "pretrain", "--objective", "mlm", "--train", text.toString(), "--layers", "1", "--hidden", "32", "--heads", "1", "--positions", "16",
                "--vocab-size", "100", "--max-length", "16", "--batch-size", "4", "--epochs", "2", "--lr", "1e-3", "--out", out, "--json").json();
        assertEquals("bf16", summary.path("precision").asText());
        String[] fill = {"--model", out, "--top", "1", "the cat drinks [MASK] ."};
        String probability = "/masks/0/0/probability";
        assertNear(run("f32", "fill-mask", fill).json().at(probability).asDouble(), run("bf16", "fill-mask", fill).json().at(probability).asDouble(), "fill-mask");
    }

    /** Nothing that is stored is smaller: only products are faster. */
    @Test
    void isPlannedAsFloat32Is() throws IOException {
        String[] plan = {"--model", model.toString(), "--memory", "2GiB", "--batch-size", "4", "--max-length", "64", "--json"};
        assertEquals(run("f32", "plan", plan).json().path("breakdown"), run("bf16", "plan", plan).json().path("breakdown"));
    }

    /** Shares are of the rate of products in the same precision. */
    @Test
    void isMeasured() throws IOException {
        Path file = folder.resolve("report.json");
        CommandRun measured = run("bf16", "bench", "infer", "--model", "random:bert-tiny", "--batch-size", "4", "--lengths", "fixed:64", "--warmup", "1", "--repeats", "3",
                "--json", file.toString());
        assertTrue(measured.out().contains("bf16"), measured.out());
        String report = Files.readString(file);
        assertTrue(report.contains("\"precision\" : \"BF16\"") && report.contains("operands rounded to bf16"), report);
        assertFalse(report.contains("NaN"), report);
    }
}
