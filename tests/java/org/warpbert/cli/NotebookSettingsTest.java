package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.memory.ByteSize;

/**
 * The two settings that ran out of memory elsewhere, and a tight one, each in a process of its own as the launcher starts it:
 * its peak resident size, as the system counted it, stays within the budget and within 2% of what was predicted. Three steps
 * each, or as many as {@code -Dwarpbert.notebook.steps} says; 0: 500 steps of NSMC, as the notebook was to take, 1,000 of
 * CoLA's 4,276, and whole epochs of what is 512 tokens long throughout.
 */
@Tag("heavy")
class NotebookSettingsTest {
    private static final int STEPS = Integer.getInteger("warpbert.notebook.steps", 3);
    private static final Path SHARED = Path.of(System.getProperty("warpbert.shared", "../shared"), "data");

    @TempDir Path folder;

    private Path full512() throws IOException {
        SplittableRandom random = new SplittableRandom(1);
        String[] words = "the cat sat on a mat and saw another dog in his garden of many trees".split(" ");
        List<String> rows = new ArrayList<>(List.of("document\tlabel"));
        for (int row = 0; row < 40; row++) {
            StringBuilder text = new StringBuilder();
            for (int word = 0; word < 600; word++) {
                text.append(words[random.nextInt(words.length)]).append(' ');
            }
            rows.add(text + "\t" + row % 2);
        }
        return Files.write(folder.resolve("full512.tsv"), rows);
    }

    /** @param whole steps of the whole run; 0: those of an epoch */
    @ParameterizedTest(name = "{0} {1} {2}")
    @CsvSource({"4GiB, 2, cola, 1000", "4GiB, 2, full, 0", "9.07GB, 10, nsmc, 500", "9.07GB, 10, full, 0", "2GiB, 10, full, 0"})
    void runsToTheEndWithinItsBudget(String memory, int batchSize, String data, int whole) throws IOException, InterruptedException {
        List<String> source = switch (data) {
            case "cola" -> List.of("--train", SHARED.resolve("cola/in_domain_train.tsv").toString(), "--no-header", "--text", "3", "--label", "1");
            case "nsmc" -> List.of("--train", SHARED.resolve("nsmc/ratings_train.txt.gz").toString(), "--text", "document", "--label", "label");
            default -> List.of("--train", full512().toString(), "--text", "document", "--label", "label");
        };
        Assumptions.assumeTrue(Files.exists(Path.of(source.get(1))), () -> source.get(1) + " is not there (-Dwarpbert.shared=FOLDER)");
        Path run = folder.resolve("run");
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "@src/main/dist/java.options",
                "-cp", System.getProperty("java.class.path"), "org.warpbert.cli.Main", "finetune",
                "--model", "bert-base-uncased", "--batch-size", Integer.toString(batchSize), "--max-length", "512", "--memory", memory, "--epochs", "1",
                "--steps", Integer.toString(STEPS == 0 ? whole : STEPS), "--out", run.toString()));
        command.addAll(source);
        Process process = new ProcessBuilder(command).inheritIO().start();
        assertEquals(0, process.waitFor());
        assertTrue(Files.exists(run.resolve("model.safetensors")), "the run is whole");
        JsonNode summary = new ObjectMapper().readTree(run.resolve("summary.json").toFile());
        long budget = ByteSize.parse(memory);
        long peak = summary.path("peak_bytes").asLong();
        long planned = summary.path("memory").path("planned_bytes").asLong();
        long predicted = planned + summary.path("memory").path("overhead_bytes").asLong();
        assertEquals(planned, summary.path("planned_bytes").asLong(), "planned is allocated");
        System.out.printf(Locale.ROOT, "%s, batch %d, %s, %d steps: planned %,d, predicted peak %,d, measured %,d (%+.1f%%), %d micro-batches, recomputing %s%n",
                memory, batchSize, data, summary.path("steps").asLong(), planned, predicted, peak, 100.0 * (predicted - peak) / peak,
                summary.path("memory").path("accumulation_steps").asInt(), summary.path("memory").path("recompute").asText());
        assertTrue(peak <= budget, peak + " bytes of " + budget);
        assertEquals(predicted, peak, 0.02 * peak, "predicted " + predicted + ", measured " + peak);
    }
}
