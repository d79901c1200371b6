package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.task.Compute;
import org.warpbert.WarpBertException;
import org.warpbert.task.MultiLabelClassifier;
import org.warpbert.task.TextClassifier;

/** Fine-tunes all-MiniLM-L6-v2 once on texts of any number of subjects, then uses the run with every command. */
class MultiLabelCommandsTest {
    private static final String[] FOOD = {"We ate soup", "The bread was fresh", "They cooked rice", "She baked a cake"};
    private static final String[] SPORT = {"won the football match", "ran a marathon", "swam in the race", "scored twice in tennis"};

    @TempDir static Path folder;
    private static Path data;
    private static Path run;
    private static CommandRun training;

    private static CommandRun finetune(Path train, String... more) {
        List<String> args = new ArrayList<>(List.of("finetune", "--model", "all-MiniLM-L6-v2", "--train", train.toString(), "--text", "text", "--label", "labels",
                "--batch-size", "6", "--lr", "5e-4", "--max-length", "32"));
        args.addAll(List.of(more));
        return CommandRun.of(args.toArray(String[]::new));
    }

    @BeforeAll
    static void train() throws IOException {
        StringBuilder text = new StringBuilder("text\tlabels\n");
        for (int i = 0; i < FOOD.length; i++) {
            text.append(FOOD[i]).append(".\tfood\n").append("He ").append(SPORT[i]).append(".\tsport\n");
            text.append(FOOD[i]).append(" after she ").append(SPORT[i]).append(".\tsport, food,\n");
            text.append("The number is ").append(i).append(".\t\n");
        }
        data = Files.writeString(folder.resolve("data.tsv"), text);
        run = folder.resolve("run");
        training = finetune(data, "--multi-label", "--dev", data.toString(), "--epochs", "15", "--out", run.toString(), "--json");
    }

    @Test
    void leavesAModelOfTransformersClass() throws IOException {
        JsonNode summary = training.done().json();
        JsonNode metrics = summary.path("epochs").path(14).path("metrics");
        assertEquals(List.of("f1_micro", "f1_macro", "accuracy"), new ObjectMapper().convertValue(metrics.fieldNames(), List.class));
        assertTrue(metrics.path("accuracy").asDouble() > 0.8, "16 texts are learnt by heart: " + metrics);
        assertEquals(0.25, summary.path("baseline").path("accuracy").asDouble(), "four sets, equally frequent");
        JsonNode config = new ObjectMapper().readTree(run.resolve("config.json").toFile());
        assertEquals("multi_label_classification", config.path("problem_type").asText());
        assertEquals("BertForSequenceClassification", config.path("architectures").path(0).asText());
        assertEquals("{\"0\":\"food\",\"1\":\"sport\"}", config.path("id2label").toString());
    }

    /** The same rows as JSON lines, with lists, another separator and nothing. */
    @Test
    void evaluatesWhateverTheFile() throws IOException {
        List<String> rows = new ArrayList<>();
        for (String row : Files.readAllLines(data).subList(1, 17)) {
            String[] cells = row.split("\t", -1);
            boolean both = cells[1].contains("sport") && cells[1].contains("food");
            rows.add("{\"text\":\"" + cells[0] + "\",\"labels\":" + (both ? "\"food|sport\"" : cells[1].isEmpty() ? "null" : "[\"" + cells[1] + "\"]") + "}");
        }
        Path json = Files.write(folder.resolve("data.jsonl"), rows);
        JsonNode judged = CommandRun.of("evaluate", "--model", run.toString(), "--data", json.toString(), "--text", "text", "--label", "labels",
                "--label-separator", "|", "--max-length", "32", "--json").done().json();
        assertEquals(training.json().path("epochs").path(14).path("metrics"), judged.path("metrics"));
        assertEquals(8, judged.path("by_type").path("food").path("support").asInt());
    }

    /** Again with a column of 0 and 1 for each label. */
    @Test
    void evaluatesColumnsOfFlags() throws IOException {
        List<String> rows = new ArrayList<>(List.of("sport,text,food"));
        for (String row : Files.readAllLines(data).subList(1, 17)) {
            String[] cells = row.split("\t", -1);
            rows.add((cells[1].contains("sport") ? 1 : 0) + ",\"" + cells[0] + "\"," + (cells[1].contains("food") ? 1 : 0));
        }
        Path csv = Files.write(folder.resolve("flags.csv"), rows);
        JsonNode judged = CommandRun.of("evaluate", "--model", run.toString(), "--data", csv.toString(), "--text", "text", "--label", "sport, food",
                "--max-length", "32", "--json").done().json();
        assertEquals(training.json().path("epochs").path(14).path("metrics"), judged.path("metrics"));
    }

    @Test
    void predictsWhatIsAboveTheThreshold() throws IOException {
        String text = "We ate soup after she ran a marathon.";
        JsonNode line = CommandRun.of("predict", "--model", run.toString(), "--json", text).done().jsonLines().get(0);
        assertEquals("[\"food\",\"sport\"]", line.path("labels").toString(), line.toString());
        double food = line.path("scores").path("food").asDouble();
        double sport = line.path("scores").path("sport").asDouble();
        assertTrue(food > 0.5 && sport > 0.5 && food < 1 && sport < 1, line.toString());
        double between = (food + sport) / 2;
        String most = food > sport ? "food" : "sport";
        CommandRun one = CommandRun.of("predict", "--model", run.toString(), "--threshold", Double.toString(between), text).done();
        assertTrue(one.out().matches(most + " 0\\.\\d{4}\t" + text + "\n"), one.out());
        assertEquals("\t" + text + "\n", CommandRun.of("predict", "--model", run.toString(), "--threshold", "1", text).done().out());
        try (MultiLabelClassifier classifier = MultiLabelClassifier.load(run.toString(), Compute.on("cpu").withThreads(1))) {
            assertEquals(List.of("food", "sport"), classifier.labels());
            assertEquals(food, classifier.predict(List.of("Another text.", text), null, 64, 1).get(1)[0], 1e-5);
        }
        assertThrows(WarpBertException.class, () -> TextClassifier.load(run.toString(), Compute.on("cpu").withThreads(1)));
        assertThrows(WarpBertException.class, () -> MultiLabelClassifier.load("all-MiniLM-L6-v2", Compute.on("cpu").withThreads(1)));
    }

    /** The loss of one label: weights are told, and a run with them still predicts one class. */
    @Test
    void weighsAndSmooths() throws IOException {
        Path file = Files.writeString(folder.resolve("single.tsv"), "text\tlabels\nfine\tgood\nbad\tpoor\nawful\tpoor\ndull\tpoor\n");
        Path out = folder.resolve("single");
        CommandRun weighed = finetune(file, "--class-weights", "balanced", "--label-smoothing", "0.1", "--epochs", "8", "--out", out.toString()).done();
        assertTrue(weighed.err().contains("class weights: good 2.000, poor 0.6667"), weighed.err());
        assertTrue(CommandRun.of("predict", "--model", out.toString(), "fine").done().out().matches("(good|poor)\t0\\.\\d{4}\tfine\n"));
        CommandRun.of("evaluate", "--model", out.toString(), "--data", file.toString(), "--text", "text", "--label", "labels", "--class-weights", "balanced")
                .failedWith("name the weights");
        Path wrong = Files.writeString(folder.resolve("wrong.tsv"), "text\tlabels\nfine\tgood\nbad\tgood\nawful\tpoor\ndull\tpoor\n"); // the second
        double plain = loss(out, wrong);
        double good = loss(out, wrong, "--class-weights", "poor=1e-6");
        double poor = loss(out, wrong, "--class-weights", "good=1e-6");
        assertEquals(plain, (good + poor) / 2, 1e-4, "a weighted mean: nearly of the one class alone, and of the other");
        assertTrue(good - poor > 0.05, good + " " + poor);
    }

    private static double loss(Path model, Path file, String... more) throws IOException {
        List<String> args = new ArrayList<>(List.of("evaluate", "--model", model.toString(), "--data", file.toString(), "--text", "text", "--label", "labels", "--json"));
        args.addAll(List.of(more));
        return CommandRun.of(args.toArray(String[]::new)).done().json().path("loss").asDouble();
    }

    @Test
    void whatIsWrongIsSaid() throws IOException {
        String no = folder.resolve("no").toString();
        Path dev = Files.writeString(folder.resolve("dev.tsv"), "text\tlabels\na\tfood\nb\tfood,music\n");
        finetune(data, "--multi-label", "--dev", dev.toString(), "--out", no).failedWith("dev.tsv, line 3", "'music'", "food, sport");
        Path none = Files.writeString(folder.resolve("none.tsv"), "text\tlabels\na\t\nb\t,\n");
        finetune(none, "--multi-label", "--out", no).failedWith("none.tsv", "No row", "label");
        finetune(dev, "--out", no, "--class-weights", "fod=2").failedWith("'fod'", "food, food,music");
        finetune(data, "--multi-label", "--class-weights", "balanced", "--out", no).misusedWith("not for --multi-label");
        finetune(data, "--label-separator", "|", "--out", no).misusedWith("--label-separator goes with --multi-label");
        finetune(data, "--label-smoothing", "1", "--out", no).misusedWith("(--label-smoothing) is 1.0");
        finetune(data, "--class-weights", "food", "--out", no).misusedWith("'food'", "LABEL=WEIGHT");
        Path flags = Files.writeString(folder.resolve("flags.tsv"), "text\tfood\tsport\nsoup\t1\t0\nbread\t1\t0\n");
        finetune(flags, "--multi-label", "--label", "food,sport", "--out", no).failedWith("No row to learn from", "flags.tsv", "label sport");
        finetune(flags, "--multi-label", "--label", "food,food", "--out", no).misusedWith("(--label) is named twice: food,food");
        finetune(flags, "--multi-label", "--label", "food,music", "--out", no).failedWith("flags.tsv", "no column 'music'");
        Path lists = Files.writeString(folder.resolve("lists.jsonl"), "{\"text\":\"a\",\"labels\":[{}]}\n");
        finetune(lists, "--multi-label", "--out", no).failedWith("lists.jsonl, line 1", "'labels'");
        assertTrue(Files.notExists(Path.of(no)));
    }
}
