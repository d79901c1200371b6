package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.task.Compute;
import org.warpbert.task.TextScorer;

/** Fine-tunes all-MiniLM-L6-v2 once on pairs and how alike they are, in a file as STS-B's are, then uses the run with every command. */
class RegressCommandsTest {
    private static final String[] THINGS = {"dog", "plane", "guitar", "river", "cake"};

    @TempDir static Path folder;
    private static Path data;
    private static Path run;
    private static CommandRun training;

    private static CommandRun finetune(Path train, Path out, String... more) {
        String[] args = {"finetune", "--task", "regress", "--model", "all-MiniLM-L6-v2", "--train", train.toString(), "--format", "tsv", "--no-header", "--extra-cells",
            "--text", "2", "--pair", "3", "--label", "1", "--batch-size", "5", "--lr", "5e-4", "--max-length", "32", "--out", out.toString()};
        return CommandRun.of(Stream.of(args, more).flatMap(Arrays::stream).toArray(String[]::new));
    }

    /** Alike (5), another thing (1.5), or another thing and deed (-2.5e-1); with quotes that open nothing, and cells too many in some rows. */
    @BeforeAll
    static void train() throws IOException {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < THINGS.length; i++) {
            String one = "A \"man sees a " + THINGS[i] + ".";
            String other = THINGS[(i + 1) % THINGS.length];
            text.append("x\t5\t").append(one).append("\tA man looks at a ").append(THINGS[i]).append(".\n");
            text.append("x\t1.5\t").append(one).append("\tA man sees a ").append(other).append(".\thttp://source\n");
            text.append("x\t-2.5e-1\t").append(one).append("\tThe women sold no ").append(other).append(" today.\n");
        }
        data = Files.writeString(folder.resolve("pairs.csv"), text);
        run = folder.resolve("run");
        training = finetune(data, run, "--dev", data.toString(), "--epochs", "8", "--json");
    }

    @Test
    void leavesAModelOfTransformersClass() throws IOException {
        JsonNode summary = training.done().json();
        JsonNode metrics = summary.path("epochs").path(7).path("metrics");
        assertEquals(List.of("pearson", "spearman", "mse"), new ObjectMapper().convertValue(metrics.fieldNames(), List.class));
        assertTrue(metrics.path("pearson").asDouble() > 0.8, "15 pairs are learnt by heart: " + metrics);
        assertEquals(summary.path("epochs").path(7).path("dev_loss").asDouble(), metrics.path("mse").asDouble(), 1e-5);
        // the mean is 6.25 / 3: deviations 2.91667, -0.58333, -2.33333
        assertEquals((2.9166667 * 2.9166667 + 0.5833333 * 0.5833333 + 2.3333333 * 2.3333333) / 3, summary.path("baseline").path("mse").asDouble(), 1e-5);
        assertEquals(1, summary.path("baseline").size(), "correlations of a constant are not defined");
        JsonNode config = new ObjectMapper().readTree(run.resolve("config.json").toFile());
        assertEquals("BertForSequenceClassification", config.path("architectures").path(0).asText());
        assertEquals("regression", config.path("problem_type").asText());
        assertEquals(1, config.path("id2label").size());
    }

    @Test
    void evaluatesAndPredictsAlike() throws IOException {
        JsonNode judged = CommandRun.of("evaluate", "--model", run.toString(), "--data", data.toString(), "--format", "tsv", "--no-header", "--extra-cells",
                "--text", "2", "--pair", "3", "--label", "1", "--max-length", "32", "--json").done().json();
        assertEquals(training.json().path("epochs").path(7).path("metrics"), judged.path("metrics"));
        List<String> rows = Files.readAllLines(data);
        StringBuilder pairs = new StringBuilder();
        rows.forEach(row -> pairs.append(row.split("\t")[2]).append('\t').append(row.split("\t")[3]).append('\n'));
        List<JsonNode> lines = CommandRun.withInput(pairs.toString(), "predict", "--model", run.toString(), "--pair-tab", "--json").done().jsonLines();
        double squares = 0;
        for (int i = 0; i < rows.size(); i++) {
            double difference = lines.get(i).path("value").asDouble() - Double.parseDouble(rows.get(i).split("\t")[1]);
            squares += difference * difference;
            assertEquals(rows.get(i).split("\t")[3], lines.get(i).path("pair").asText());
        }
        assertEquals(judged.path("metrics").path("mse").asDouble(), squares / rows.size(), 1e-4, "the same numbers, in the file's order");
        String[] table = {"predict", "--model", run.toString(), "--json", "--file", data.toString(), "--columns", "2, 3", "--no-header", "--format", "tsv"};
        assertEquals(lines, CommandRun.of(table).done().jsonLines(), "as columns of a table too");
        String[] plain = CommandRun.of("predict", "--model", run.toString(), "A dog.", "--pair", "A cat.").done().out().split("\t");
        assertTrue(plain[0].matches("-?\\d+\\.\\d{4}") && plain[1].equals("A dog.") && plain[2].equals("A cat.\n"), String.join("|", plain));
        try (TextScorer scorer = TextScorer.load(run.toString(), Compute.on("cpu").withThreads(1))) {
            float[] values = scorer.score(List.of("A dog.", "A plane."), List.of("A cat.", "A plane."), 32, 1);
            assertEquals(Double.parseDouble(plain[0]), values[0], 1e-4);
            assertTrue(values[1] != values[0], "each text its own");
        }
    }

    /** As tests of GLUE come: a header, no labels; and a CSV whose cells go over lines. */
    @Test
    void predictsOfTables() throws IOException {
        Path csv = Files.writeString(folder.resolve("test.csv"), "\ufeffid,\"a, b\",two\r\n1,\"A \"\"dog\"\",\r\nhere.\",A cat.\r\n2,,none\r\n3,A plane.,A plane.\r\n");
        CommandRun found = CommandRun.of("predict", "--model", run.toString(), "--file", csv.toString(), "--columns", "1,two").done();
        List<String> lines = found.out().lines().toList();
        assertEquals(2, lines.size(), found.out());
        assertTrue(lines.get(0).matches("-?\\d+\\.\\d{4}\tA \"dog\", here\\.\tA cat\\."), lines.get(0));
        assertTrue(found.err().contains("test.csv: 1 of 3 rows skipped"), found.err());
        CommandRun.of("predict", "--model", run.toString(), "--file", csv.toString(), "--columns", "one").failedWith("test.csv", "no column 'one'", "2 'two'");
        CommandRun.of("predict", "--model", run.toString(), "--columns", "one").misusedWith("--columns goes with --file");
        CommandRun.of("predict", "--model", run.toString(), "--columns", "one", "a").misusedWith("--columns goes with --file");
        CommandRun.of("predict", "--model", run.toString(), "--file", csv.toString(), "--no-header").misusedWith("go with --columns");
        CommandRun.of("predict", "--model", run.toString(), "--file", csv.toString(), "--columns", "a,b,c").misusedWith("one column, or two");
    }

    @Test
    void whatIsWrongIsSaid() throws IOException {
        Path out = folder.resolve("no");
        for (String bad : List.of("five", "NaN", "1e39", "0x10", "1,5")) {
            Path file = Files.writeString(folder.resolve("bad.tsv"), "x\t5\ta\tb\nx\t" + bad + "\tc\td\n");
            finetune(file, out).failedWith("bad.tsv, line 2", "'" + bad + "'", "no finite number");
        }
        finetune(data, out, "--class-weights", "balanced").misusedWith("--class-weights", "not regress");
        finetune(data, out, "--steps", "1", "--keep", "best", "--metric", "mse", "--dev", data.toString()).failedWith("pearson, spearman, loss");
        assertTrue(Files.notExists(out));
        CommandRun.of("predict", "--model", run.toString(), "--threshold", "0.1", "a").misusedWith("--multi-label");
        CommandRun.of("finetune", "--model", "all-MiniLM-L6-v2", "--train", data.toString(), "--no-header", "--text", "2", "--label", "1", "--out", out.toString())
                .failedWith("pairs.csv", "no column '2'", "--format tsv");
    }
}
