package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Fine-tunes all-MiniLM-L6-v2 once on sentences that name cities and people, then uses the run with every command. */
class TagCommandsTest {
    private static final String[] PEOPLE = {"Anna Smith", "Peter", "Maria Jones", "John Miller", "Emma"};
    private static final String[] CITIES = {"Paris", "New York City", "Berlin", "San Francisco", "London"};

    @TempDir static Path folder;
    private static Path data;
    private static Path run;
    private static CommandRun training;

    private static String rows(String entity, String type) {
        String[] words = entity.split(" ");
        StringBuilder rows = new StringBuilder(words[0] + "\tB-" + type + "\n");
        for (int i = 1; i < words.length; i++) {
            rows.append(words[i]).append("\tI-").append(type).append('\n');
        }
        return rows.toString();
    }

    @BeforeAll
    static void train() throws IOException {
        StringBuilder text = new StringBuilder("-DOCSTART-\tO\n\n");
        for (String person : PEOPLE) {
            for (String city : CITIES) {
                text.append(rows(person, "person")).append("travels\tO\nto\tO\n").append(rows(city, "city")).append(".\tO\n\n");
            }
        }
        data = Files.writeString(folder.resolve("data.conll"), text);
        run = folder.resolve("run");
        training = CommandRun.of("finetune", "--task", "tag", "--model", "all-MiniLM-L6-v2", "--train", data.toString(), "--dev", data.toString(),
                "--epochs", "10", "--batch-size", "5", "--lr", "1e-3", "--warmup-steps", "5", "--out", run.toString(), "--json");
    }

    @Test
    void leavesAModelOfTransformersClass() throws IOException {
        JsonNode summary = training.done().json();
        assertEquals("tag", summary.path("task").asText());
        JsonNode metrics = summary.path("epochs").path(9).path("metrics");
        assertEquals(List.of("f1", "precision", "recall", "accuracy"), new ObjectMapper().convertValue(metrics.fieldNames(), List.class));
        assertTrue(metrics.path("f1").asDouble() > 0.9, "25 sentences are learnt by heart: " + metrics);
        assertEquals(0, summary.path("baseline").path("f1").asDouble());
        JsonNode config = new ObjectMapper().readTree(run.resolve("config.json").toFile());
        assertEquals("BertForTokenClassification", config.path("architectures").path(0).asText());
        assertEquals("B-city", config.path("id2label").path("0").asText());
    }

    @Test
    void evaluatesByTypeAndCountsWhatIsCut() throws IOException {
        JsonNode judged = CommandRun.of("evaluate", "--model", run.toString(), "--data", data.toString(), "--json").done().json();
        JsonNode last = training.json().path("epochs").path(9).path("metrics");
        assertEquals(last, judged.path("metrics"));
        assertEquals(25, judged.path("by_type").path("city").path("support").asInt());
        assertTrue(judged.path("by_type").path("person").path("f1").asDouble() > 0.9, judged.toString());
        CommandRun cut = CommandRun.of("evaluate", "--model", run.toString(), "--data", data.toString(), "--max-length", "5").done();
        assertTrue(cut.err().contains("25 of 25 examples are cut to 5 tokens"), cut.err());
        assertTrue(cut.out().contains("city ") && cut.out().contains("support 25"), cut.out());
    }

    @Test
    void predictsEntitiesWithOffsets() throws IOException {
        String text = "\ud83d\ude00 Emma  travels to New York City. ";
        JsonNode line = CommandRun.of("predict", "--model", run.toString(), "--json", text).done().jsonLines().get(0);
        assertEquals(text, line.path("text").asText());
        for (JsonNode entity : line.path("entities")) {
            assertEquals(entity.path("text").asText(), text.substring(entity.path("start").asInt(), entity.path("end").asInt()));
            assertTrue(entity.path("score").asDouble() > 0.5 && entity.path("score").asDouble() <= 1, line.toString());
        }
        JsonNode person = line.path("entities").path(line.path("entities").size() - 2); // the model has seen no emoji: what it says of it is its own
        assertEquals("Emma person", person.path("text").asText() + " " + person.path("label").asText(), line.toString());
        JsonNode city = line.path("entities").path(line.path("entities").size() - 1);
        assertEquals("New York City city", city.path("text").asText() + " " + city.path("label").asText(), line.toString());

        CommandRun plain = CommandRun.withInput("Peter travels to Paris.\n\ufe0f\nAnna Smith travels to Berlin.\n", "predict", "--model", run.toString()).done();
        List<String> lines = plain.out().lines().toList();
        assertTrue(lines.get(0).matches("\\[Peter]\\(person [01]\\.\\d\\d\\) travels to \\[Paris]\\(city [01]\\.\\d\\d\\)\\."), plain.out());
        assertEquals(3, lines.size(), "a line out for a line in: " + plain.out());
        assertTrue(lines.get(2).startsWith("[Anna Smith](person"), plain.out());
        CommandRun cut = CommandRun.of("predict", "--model", run.toString(), "--max-length", "4", "Peter travels to Paris.").done();
        assertTrue(cut.err().contains("1 of 1 texts are cut to 4 tokens; nothing is said of the words behind"), cut.err());
        CommandRun.of("predict", "--model", run.toString(), "a", "--pair", "b").misusedWith("one text at a time");
    }

    /** Labels that are no tags: accuracy, and a label for each word. */
    @Test
    void tagsPartsOfSpeech() throws IOException {
        String sentence = "1\tAnna\t_\tPROPN\tNNP\t_\t_\t_\t_\t_\n2-3\tdoesn't\t_\t_\t_\t_\t_\t_\t_\t_\n2\tdoes\t_\tAUX\tVBZ\t_\t_\t_\t_\t_\n"
                + "3\tn't\t_\tPART\tRB\t_\t_\t_\t_\t_\n4\ttravel\t_\tVERB\tVB\t_\t_\t_\t_\t_\n\n";
        Path file = Files.writeString(folder.resolve("pos.conllu"), "# comment\n" + sentence.repeat(8));
        Path out = folder.resolve("pos");
        JsonNode summary = CommandRun.of("finetune", "--task", "tag", "--model", "all-MiniLM-L6-v2", "--train", file.toString(), "--dev-split", "0.25",
                "--label", "xpos", "--epochs", "12", "--batch-size", "2", "--lr", "1e-3", "--out", out.toString(), "--json").done().json();
        assertEquals(List.of("NNP", "RB", "VB", "VBZ"), new ObjectMapper().convertValue(summary.path("labels"), List.class));
        assertEquals(1, summary.path("epochs").path(11).path("metrics").path("accuracy").asDouble());
        assertEquals(1, summary.path("epochs").path(11).path("metrics").size());
        assertEquals(0.25, summary.path("baseline").path("accuracy").asDouble());
        assertEquals("Anna/NNP does/VBZ n't/RB travel/VB\n", CommandRun.of("predict", "--model", out.toString(), "Anna does n't travel").done().out());
        JsonNode words = CommandRun.of("predict", "--model", out.toString(), "--json", "Anna does").done().jsonLines().get(0).path("words");
        assertEquals("does", words.path(1).path("text").asText());
        assertEquals(5, words.path(1).path("start").asInt());
        CommandRun.of("evaluate", "--model", out.toString(), "--data", file.toString()).failedWith("pos.conllu, line 2", "'PROPN'", "known labels: NNP");
    }

    /** A slip in a file of entities must not silently cost their f1. */
    @Test
    void aLabelThatIsNoTagAmongTagsIsSaid() throws IOException {
        Path file = Files.writeString(folder.resolve("slip.conll"), "Rome\tB-city\nis\t0\nold\tO\n");
        CommandRun slip = CommandRun.of("finetune", "--task", "tag", "--model", "all-MiniLM-L6-v2", "--train", file.toString(), "--steps", "1",
                "--out", folder.resolve("slip").toString()).done();
        assertTrue(slip.err().contains("slip.conll: '0' is no tag of entities"), slip.err());
        assertTrue(!training.err().contains("is no tag"), training.err());
    }

    @Test
    void whatIsWrongIsSaidBeforeTraining() throws IOException {
        Path dev = Files.writeString(folder.resolve("dev.conll"), "Rome\tB-town\n");
        String[] args = {"finetune", "--task", "tag", "--model", "all-MiniLM-L6-v2", "--train", data.toString(), "--out", folder.resolve("no").toString(),
            "--dev", dev.toString()};
        CommandRun.of(args).failedWith("dev.conll, line 1", "'B-town' was not seen in training");
        Files.writeString(dev, "Rome\tB-city\nis\n");
        CommandRun.of(args).failedWith("dev.conll, line 2", "1 columns");
        Files.writeString(dev, "Rome\n");
        CommandRun.of(args).failedWith("dev.conll", "one column");
        args[args.length - 2] = "--pair";
        CommandRun.of(args).misusedWith("--pair is not for --task tag");
        assertTrue(Files.notExists(folder.resolve("no")));
        CommandRun.of("evaluate", "--task", "tag", "--model", "all-MiniLM-L6-v2", "--data", data.toString()).failedWith("no tagging head", "fine-tune");
    }
}
