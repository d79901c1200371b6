package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.format.ModelFolder;
import org.warpbert.hub.Hub;

/** Early stopping, the best epoch's weights and freezing from the command line. The dev set's labels are swapped: training makes it worse. */
class SelectionCommandsTest {
    @TempDir Path folder;
    private Path train;
    private Path dev;

    @BeforeEach
    void data() throws IOException {
        String[] good = {"a fine film", "a great story", "lovely music", "well played", "I liked it", "a joy to see"};
        String[] bad = {"a dull film", "a poor story", "awful music", "badly played", "I hated it", "a pain to see"};
        List<String> rows = new ArrayList<>(List.of("label\ttext"));
        List<String> swapped = new ArrayList<>(List.of("label\ttext"));
        for (int i = 0; i < good.length; i++) {
            rows.addAll(List.of("good\t" + good[i], "bad\t" + bad[i]));
            swapped.addAll(List.of("bad\t" + good[i], "good\t" + bad[i]));
        }
        train = Files.write(folder.resolve("train.tsv"), rows);
        dev = Files.write(folder.resolve("dev.tsv"), swapped);
    }

    private CommandRun finetune(String... more) {
        List<String> args = new ArrayList<>(List.of("finetune", "--model", "all-MiniLM-L6-v2", "--train", train.toString(), "--text", "text", "--label", "label",
                "--batch-size", "4", "--lr", "4e-4", "--out", folder.resolve("run").toString(), "--overwrite", "--json"));
        args.addAll(Arrays.asList(more));
        return CommandRun.of(args.toArray(String[]::new));
    }

    @Test
    void endsEarlyAndLeavesTheBestEpoch() throws IOException {
        CommandRun run = finetune("--dev", dev.toString(), "--epochs", "9", "--patience", "2", "--keep", "best", "--metric", "loss").done();
        JsonNode epochs = run.json().path("epochs");
        int kept = run.json().path("kept_epoch").asInt();
        assertEquals(kept + 2, epochs.size(), run.err());
        assertTrue(epochs.size() < 9, run.err());
        assertTrue(run.err().contains("stopped after epoch " + epochs.size() + ": loss was not better for 2 epochs"), run.err());
        JsonNode best = epochs.path(kept - 1);
        JsonNode last = epochs.path(epochs.size() - 1);
        assertTrue(last.path("dev_loss").asDouble() > 1.2 * best.path("dev_loss").asDouble(), epochs.toString());
        JsonNode judged = CommandRun.of("evaluate", "--model", folder.resolve("run").toString(), "--data", dev.toString(), "--text", "text", "--label", "label", "--json").done().json();
        assertEquals(best.path("dev_loss").asDouble(), judged.path("loss").asDouble(), 1e-5 * best.path("dev_loss").asDouble());
    }

    @Test
    void withoutAskingTheLastEpochIsLeft() throws IOException {
        JsonNode summary = finetune("--dev", dev.toString(), "--epochs", "3").done().json();
        assertEquals(3, summary.path("kept_epoch").asInt());
        JsonNode judged = CommandRun.of("evaluate", "--model", folder.resolve("run").toString(), "--data", dev.toString(), "--text", "text", "--label", "label", "--json").done().json();
        double loss = summary.path("epochs").path(2).path("dev_loss").asDouble();
        assertEquals(loss, judged.path("loss").asDouble(), 1e-5 * loss);
        double first = summary.path("epochs").path(0).path("dev_loss").asDouble();
        assertTrue(Math.abs(loss - first) > 0.01 * first, "the first epoch's weights would have been told from the last's: " + summary.path("epochs"));
    }

    @Test
    void whatIsFrozenIsSavedAsItWas() throws IOException {
        finetune("--steps", "2", "--freeze-layers", "4", "--layer-decay", "0.5").done();
        try (ModelFolder before = ModelFolder.open(Hub.resolve("all-MiniLM-L6-v2")); ModelFolder after = ModelFolder.open(folder.resolve("run"))) {
            for (String frozen : List.of("embeddings.word_embeddings.weight", "embeddings.LayerNorm.bias", "encoder.layer.3.output.dense.weight")) {
                assertArrayEquals(values(before, frozen), values(after, frozen), frozen);
            }
            for (String learned : List.of("encoder.layer.4.output.dense.weight", "encoder.layer.5.attention.self.query.weight")) {
                assertFalse(Arrays.equals(values(before, learned), values(after, learned)), learned);
            }
        }
    }

    private static float[] values(ModelFolder model, String name) {
        long[] shape = model.tensors().shape(name);
        FloatBuffer values = FloatBuffer.allocate((int) Arrays.stream(shape).reduce(1, (a, b) -> a * b));
        model.tensors().read(name, shape, values);
        return values.array();
    }

    @Test
    void wrongUseIsRefused() {
        finetune("--patience", "1").misusedWith("--dev");
        finetune("--keep", "best").misusedWith("--dev");
        finetune("--keep", "first").misusedWith("--keep", "best or last");
        finetune("--metric", "mcc").misusedWith("(--metric) goes with");
        finetune("--layer-decay", "0").misusedWith("(--layer-decay) is 0.0");
        finetune("--freeze-layers", "7").failedWith("(--freeze-layers) is 7", "6 layers");
        finetune("--dev", dev.toString(), "--patience", "1", "--metric", "f7").failedWith("(--metric) is 'f7'", "accuracy, mcc, loss");
        assertTrue(Files.notExists(folder.resolve("run")));
    }
}
