package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Fine-tunes all-MiniLM-L6-v2 once on two dozen WordNet definitions, then uses the run with every command. */
class TrainedCommandsTest {
    private static final String[] FOOD = {
        "a sweet baked dish of fruit in pastry", "soup made of vegetables and beef", "bread made with sour dough", "a sauce of tomatoes and onions",
        "a small cake covered with sugar", "cheese made of goat's milk", "a salad of lettuce and croutons", "a hot drink of cocoa and milk",
        "a pancake filled with jam", "sausage spiced with pepper", "a stew of lamb and potatoes", "rice cooked with saffron"};
    private static final String[] MOTION = {
        "move quickly on foot", "turn around an axis", "travel by boat", "climb up a mountain", "leap over an obstacle", "walk with slow heavy steps",
        "fly in a circle", "slide down a slope", "run away from danger", "ride a horse at full speed", "swim across a river", "fall from a height"};

    @TempDir static Path folder;
    private static Path data;
    private static Path run;
    private static CommandRun training;

    @BeforeAll
    static void train() throws IOException {
        List<String> rows = new ArrayList<>(List.of("kind\tdefinition"));
        for (int i = 0; i < FOOD.length; i++) {
            rows.add("food\t" + FOOD[i]);
            rows.add("motion\t" + MOTION[i]);
        }
        data = Files.write(folder.resolve("data.tsv"), rows);
        run = folder.resolve("run");
        training = CommandRun.of("finetune", "--model", "all-MiniLM-L6-v2", "--train", data.toString(), "--dev", data.toString(), "--text", "definition",
                "--label", "kind", "--epochs", "4", "--batch-size", "8", "--lr", "1e-3", "--out", run.toString(), "--json");
    }

    @Test
    void leavesARunFolderAndPrintsItsSummary() throws IOException {
        training.done();
        JsonNode summary = training.json();
        assertEquals("classify", summary.path("task").asText());
        assertEquals("all-MiniLM-L6-v2", summary.path("model").asText());
        assertEquals(12, summary.path("steps").asInt());
        assertEquals(4, summary.path("epochs").size());
        assertEquals("f32", summary.path("precision").asText());
        assertEquals(0, summary.path("skipped_steps").asInt(-1));
        assertEquals(0.5, summary.path("baseline").path("accuracy").asDouble());
        assertTrue(summary.path("epochs").path(3).path("metrics").path("accuracy").asDouble() > 0.9, "two dozen texts are learnt by heart");
        for (String file : List.of("config.json", "model.safetensors", "vocab.txt", "tokenizer.json", "metrics.jsonl", "summary.json")) {
            assertTrue(Files.exists(run.resolve(file)), file);
        }
        assertEquals(12, Files.readAllLines(run.resolve("metrics.jsonl")).size());
        assertTrue(ImageIO.read(run.resolve("training.png").toFile()).getWidth() > 1000);
    }

    @Test
    void predictsArgumentsFileAndStandardInput() throws IOException {
        String[] texts = {"a pie of apples and cinnamon", "jump over a fence"};
        List<JsonNode> lines = CommandRun.of("predict", "--model", run.toString(), "--json", texts[0], texts[1]).done().jsonLines();
        assertEquals("food", lines.get(0).path("label").asText());
        assertEquals("motion", lines.get(1).path("label").asText());
        assertEquals(texts[0], lines.get(0).path("text").asText());
        assertEquals(lines.get(0).path("score").asDouble(), lines.get(0).path("scores").path("food").asDouble());
        assertEquals(1, lines.get(0).path("scores").path("food").asDouble() + lines.get(0).path("scores").path("motion").asDouble(), 1e-9);

        String asLines = texts[0] + "\n \n" + texts[1] + "\n";
        Path file = Files.writeString(folder.resolve("texts.txt"), asLines);
        CommandRun fromFile = CommandRun.of("predict", "--model", run.toString(), "--json", "--file", file.toString()).done();
        assertEquals(lines, fromFile.jsonLines());
        assertTrue(fromFile.err().contains("1 blank lines skipped"), fromFile.err());
        Path gzipped = folder.resolve("texts.txt.gz");
        try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(gzipped))) {
            out.write(asLines.getBytes(StandardCharsets.UTF_8));
        }
        assertEquals(lines, CommandRun.of("predict", "--model", run.toString(), "--json", "--file", gzipped.toString()).done().jsonLines());
        Files.write(gzipped, new byte[0]);
        CommandRun.of("predict", "--model", run.toString(), "--file", gzipped.toString()).failedWith("texts.txt.gz", "it ends too early");
        assertEquals(lines, CommandRun.withInput(asLines, "predict", "--model", run.toString(), "--json").done().jsonLines());
        String[] plain = CommandRun.of("predict", "--model", run.toString(), texts[1]).done().out().split("\t");
        assertEquals("motion", plain[0]);
        assertEquals(texts[1] + "\n", plain[2]);
    }

    @Test
    void predictsPairs() throws IOException {
        List<JsonNode> argument = CommandRun.of("predict", "--model", run.toString(), "--json", "a pie", "--pair", "of apples").done().jsonLines();
        assertEquals("of apples", argument.get(0).path("pair").asText());
        assertEquals(argument, CommandRun.withInput("a pie\tof apples\n", "predict", "--model", run.toString(), "--json", "--pair-tab").done().jsonLines());
        CommandRun.withInput("a pie\n", "predict", "--model", run.toString(), "--pair-tab").failedWith("line 1", "no tab");
        CommandRun.of("predict", "--model", run.toString(), "a", "b", "--pair", "c").misusedWith("as many --pair as TEXT");
    }

    @Test
    void evaluatesAsTrainingDid() throws IOException {
        JsonNode judged = CommandRun.of("evaluate", "--model", run.toString(), "--data", data.toString(), "--text", "1", "--label", "0", "--json").done().json();
        JsonNode last = training.json().path("epochs").path(3);
        assertEquals(24, judged.path("examples").asInt());
        assertEquals(last.path("metrics").path("accuracy").asDouble(), judged.path("metrics").path("accuracy").asDouble());
        assertEquals(last.path("dev_loss").asDouble(), judged.path("loss").asDouble(), 1e-5 * last.path("dev_loss").asDouble());
        assertTrue(CommandRun.of("evaluate", "--model", run.toString(), "--data", data.toString(), "--text", "1", "--label", "0").done().out().startsWith("examples 24 "));
    }

    @Test
    void embedsTexts() throws IOException {
        List<JsonNode> lines = CommandRun.of("embed", "--model", run.toString(), "--normalize", "a pie", "a tart").done().jsonLines();
        double dot = 0;
        for (int h = 0; h < 384; h++) {
            dot += lines.get(0).path("embedding").path(h).asDouble() * lines.get(0).path("embedding").path(h).asDouble();
        }
        assertEquals(1, dot, 1e-5);
        JsonNode cls = CommandRun.of("embed", "--model", run.toString(), "--pooling", "cls", "a pie").done().jsonLines().get(0);
        assertEquals(384, cls.path("embedding").size());
        assertFalse(cls.path("embedding").equals(lines.get(0).path("embedding")));
    }

    /** On the CUDA kernels under simt: what inference in 16 bits gives is float32's but for rounding. */
    @Test
    void embedsInSixteenBits() throws IOException {
        JsonNode exact = CommandRun.of("embed", "--model", run.toString(), "--normalize", "a pie").done().jsonLines().get(0).path("embedding");
        for (String precision : List.of("bf16", "fp16")) {
            JsonNode rounded = CommandRun.of("embed", "--model", run.toString(), "--normalize", "--device", "simt", "--precision", precision, "a pie")
                    .done().jsonLines().get(0).path("embedding");
            double distance = 0;
            for (int h = 0; h < 384; h++) {
                distance += Math.pow(rounded.path(h).asDouble() - exact.path(h).asDouble(), 2);
            }
            assertEquals(0, Math.sqrt(distance), precision.equals("bf16") ? 2e-2 : 3e-3, precision);
            assertTrue(distance > 0, precision + " was not computed in");
        }
    }

    @Test
    void aRunIsAModelAndIsNotReplacedUnasked() throws IOException {
        String[] again = {"finetune", "--model", run.toString(), "--train", data.toString(), "--text", "definition", "--label", "kind", "--steps", "1",
            "--no-shuffle", "--dropout", "0", "--total-steps", "100", "--json", "--out", folder.resolve("again").toString()};
        CommandRun first = CommandRun.of(again).done();
        assertEquals(1, first.json().path("steps").asInt());
        assertTrue(first.json().path("epochs").path(0).path("train_loss").asDouble() < 0.3, "the head of the run goes on");
        CommandRun.of(again).failedWith("again", "--overwrite");
        again[again.length - 2] = "--overwrite";
        again[again.length - 1] = "--out=" + folder.resolve("again");
        CommandRun.of(again).done();
    }

    @Test
    void plotsARun() {
        assertEquals(run.resolve("training.png") + "\n", CommandRun.of("plot", run.toString()).done().out());
        CommandRun.of("plot", folder.toString()).failedWith("summary.json", "run folder");
    }

    @Test
    void printsATable() {
        CommandRun table = CommandRun.of("finetune", "--model", run.toString(), "--train", data.toString(), "--dev-split", "0.25", "--text", "definition",
                "--label", "kind", "--epochs", "2", "--batch-size", "8", "--out", folder.resolve("table").toString()).done();
        List<String> lines = table.out().lines().toList();
        assertTrue(lines.get(0).matches("epoch +train loss +dev loss +accuracy +mcc +time"), table.out());
        assertTrue(lines.get(2).matches(" +2 .*"), table.out());
        assertTrue(lines.get(3).startsWith("without reading"), table.out());
        assertTrue(table.err().contains("18 training examples, 6 dev examples"), table.err());
    }

    @Test
    void aCutWeightFileIsToldApart() throws IOException {
        Path broken = Files.createDirectory(folder.resolve("broken"));
        for (String file : List.of("config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json")) {
            Files.copy(run.resolve(file), broken.resolve(file));
        }
        CommandRun.of("predict", "--model", broken.toString(), "a").failedWith("no model in", "model.safetensors");
        byte[] weights = Files.readAllBytes(run.resolve("model.safetensors"));
        Files.write(broken.resolve("model.safetensors"), java.util.Arrays.copyOf(weights, weights.length / 2));
        CommandRun.of("predict", "--model", broken.toString(), "a").failedWith("model.safetensors");
        Files.write(broken.resolve("model.safetensors"), weights);
        List<String> vocabulary = Files.readAllLines(broken.resolve("vocab.txt"));
        Files.write(broken.resolve("vocab.txt"), vocabulary.subList(0, 30_000));
        CommandRun.of("predict", "--model", broken.toString(), "a").failedWith("30000 pieces", "30522");
    }
}
