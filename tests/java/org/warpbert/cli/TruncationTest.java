package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.task.TinyModel;

/** Texts that are too long are not cut in silence: how many, of how many, once, on the error stream. */
class TruncationTest {
    private static final int TEXTS = 600; // several chunks, of which each has its own

    @TempDir static Path folder;
    private static String run;
    private static String data;

    @BeforeAll
    static void train() throws IOException {
        String model = TinyModel.write(folder.resolve("tiny"), 32, 1).toString();
        data = TinyModel.data(folder.resolve("data.tsv"), 3, 20, 5, 31, 6).toString();
        run = folder.resolve("run").toString();
        CommandRun.of("finetune", "--model", model, "--train", data, "--text", "text", "--label", "label", "--max-length", "64", "--epochs", "1", "--out", run).done();
    }

    private static CommandRun of(String command, int maxLength, String... more) {
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < TEXTS; i++) {
            lines.add("w1" + " w2".repeat(i % 3 == 0 ? 12 : 2));
        }
        String[] args = Arrays.copyOf(new String[] {command, "--model", run, "--max-length", Integer.toString(maxLength)}, 5 + more.length);
        System.arraycopy(more, 0, args, 5, more.length);
        return CommandRun.withInput(String.join("\n", lines), args).done();
    }

    private static long told(CommandRun run, String what) {
        return run.err().lines().filter(line -> line.equals(what)).count();
    }

    @Test
    void predictAndEmbedSaySoOnce() {
        for (CommandRun cut : List.of(of("predict", 8), of("embed", 8), of("embed", 8, "--layers", "-1"), of("predict", 8, "--json"))) {
            assertEquals(1, told(cut, "200 of 600 texts are cut to 8 tokens"), cut.err());
        }
        assertFalse(of("predict", 15).err().contains(" cut "), "15 tokens are enough");
        assertFalse(of("embed", 15).err().contains(" cut "));
    }

    @Test
    void evaluateSaysSoOnce() {
        CommandRun cut = CommandRun.of("evaluate", "--model", run, "--data", data, "--text", "text", "--label", "label", "--max-length", "16").done();
        assertEquals(1, told(cut, "2 of 5 examples are cut to 16 tokens"), cut.err());
    }
}
