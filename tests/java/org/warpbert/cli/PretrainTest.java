package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Pre-trains a small model once on made-up text in which the next word can be known, then uses it with every command. */
class PretrainTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String[] SIZES = {"--layers", "2", "--hidden", "64", "--heads", "2", "--positions", "48", "--vocab-size", "400"};

    @TempDir static Path folder;
    private static Path text;
    private static Path run;
    private static CommandRun training;

    /** Each document is about one of six animals, of which it says the same things again and again. */
    @BeforeAll
    static void pretrain() throws IOException {
        String[][] animals = {{"cat", "milk", "house"}, {"horse", "hay", "stable"}, {"fish", "worms", "river"}, {"bird", "seeds", "tree"},
            {"bear", "honey", "forest"}, {"sheep", "grass", "meadow"}};
        SplittableRandom random = new SplittableRandom(1);
        StringBuilder all = new StringBuilder();
        for (int d = 0; d < 60; d++) {
            String[] a = animals[d % animals.length];
            for (int line = 0; line < 8; line++) {
                all.append(switch (random.nextInt(4)) {
                    case 0 -> "the %s likes to eat %s .".formatted(a[0], a[1]);
                    case 1 -> "in the %s there is a %s .".formatted(a[2], a[0]);
                    case 2 -> "%s is what every %s wants to have .".formatted(a[1], a[0]);
                    default -> "our %s sleeps in the %s at night .".formatted(a[0], a[2]);
                }).append('\n');
            }
            all.append('\n');
        }
        text = Files.writeString(folder.resolve("text.txt"), all);
        run = folder.resolve("run");
        training = pretrain("--objective", "nsp", "--epochs", "30", "--lr", "2e-3", "--warmup-steps", "50", "--dropout", "0", "--dev-split", "0.1", "--out", run.toString());
    }

    private static CommandRun pretrain(String... more) {
        List<String> args = new ArrayList<>(List.of("pretrain", "--train", text.toString(), "--batch-size", "8", "--max-length", "16", "--json"));
        if (!Arrays.asList(more).contains("--model")) {
            args.addAll(List.of(SIZES));
        }
        args.addAll(List.of(more));
        return CommandRun.of(args.toArray(String[]::new));
    }

    @Test
    void theLossFallsAndTheRunIsAModel() throws IOException {
        JsonNode summary = training.done().json();
        assertEquals("nsp", summary.path("task").asText());
        assertEquals("new (L2 H64 A2)", summary.path("model").asText());
        JsonNode epochs = summary.path("epochs");
        double first = epochs.path(0).path("train_loss").asDouble();
        double last = epochs.path(29).path("train_loss").asDouble();
        assertTrue(last < 0.5 * first, first + " to " + last);
        JsonNode metrics = epochs.path(29).path("metrics");
        JsonNode baseline = summary.path("baseline");
        assertTrue(metrics.path("perplexity").asDouble() < 0.5 * baseline.path("perplexity").asDouble(), metrics + " " + baseline);
        assertTrue(metrics.path("mlm_accuracy").asDouble() > 1.5 * baseline.path("mlm_accuracy").asDouble(), metrics + " " + baseline);
        assertTrue(metrics.has("nsp_accuracy"));
        JsonNode config = JSON.readTree(run.resolve("config.json").toFile());
        assertEquals("BertForPreTraining", config.path("architectures").path(0).asText());
        assertEquals(Files.readAllLines(run.resolve("vocab.txt")).size(), config.path("vocab_size").asInt());
        assertTrue(training.err().contains("pieces was learned"), training.err());
    }

    @Test
    void fillsMasks() throws IOException {
        JsonNode top = CommandRun.of("fill-mask", "--model", run.toString(), "the horse likes to eat [MASK] .").done().jsonLines().get(0).path("masks").path(0);
        assertEquals(5, top.size());
        assertTrue(List.of("hay", "milk", "worms", "seeds", "honey", "grass").contains(top.path(0).path("token").asText()), top.toString());
    }

    /** What does not fit is refused before anything of it is allocated, with what would do. */
    @Test
    void fillMaskIsPlannedToo() throws IOException {
        String text = "the horse likes to eat [MASK] . ".repeat(7);
        System.setProperty("warpbert.device-memory", Long.toString(Files.size(run.resolve("model.safetensors")) + 100_000));
        try {
            CommandRun.of("fill-mask", "--model", run.toString(), text).failedWith("does not fit", "--max-length ", "--memory ");
            CommandRun cut = CommandRun.of("fill-mask", "--model", run.toString(), "--max-length", "8", text).done();
            assertTrue(cut.err().contains("1 of 1 texts are cut to 8 tokens"), cut.err());
        } finally {
            System.clearProperty("warpbert.device-memory");
        }
    }

    /** The dev set's masks are drawn from the seed: judged again, in the same order and length, it is the same. */
    @Test
    void evaluatesTheSameEveryTimeAndByOtherMasksOtherwise() throws IOException {
        String[] evaluate = {"evaluate", "--model", run.toString(), "--data", text.toString(), "--max-length", "16", "--json", "--mask-seed", "42"};
        JsonNode judged = CommandRun.of(evaluate).done().json();
        assertEquals("nsp", judged.path("task").asText());
        assertEquals(60, judged.path("examples").asInt());
        double perplexity = judged.path("metrics").path("perplexity").asDouble();
        assertEquals(perplexity, CommandRun.of(evaluate).done().json().path("metrics").path("perplexity").asDouble());
        evaluate[evaluate.length - 1] = "43";
        assertFalse(perplexity == CommandRun.of(evaluate).done().json().path("metrics").path("perplexity").asDouble());
        JsonNode alone = CommandRun.of("evaluate", "--model", run.toString(), "--task", "mlm", "--data", text.toString(), "--max-length", "16", "--json").done().json();
        assertEquals(Math.exp(alone.path("loss").asDouble()), alone.path("metrics").path("perplexity").asDouble(), 1e-6, "perplexity is of the masked words' loss");
        assertFalse(alone.path("metrics").has("nsp_accuracy"));
    }

    @ParameterizedTest
    @CsvSource({"mlm, BertForMaskedLM", "sop, BertForPreTraining"})
    void goesOnWithAModelForAnotherObjective(String objective, String architecture) throws IOException {
        Path out = folder.resolve("on-" + objective);
        JsonNode summary = pretrain("--model", run.toString(), "--objective", objective, "--whole-word", "--epochs", "1", "--steps", "3", "--lr", "1e-5",
                "--out", out.toString()).done().json();
        double first = training.json().path("epochs").path(0).path("train_loss").asDouble();
        assertTrue(summary.path("epochs").path(0).path("train_loss").asDouble() < 0.8 * first, "it has learned before");
        assertEquals(architecture, JSON.readTree(out.resolve("config.json").toFile()).path("architectures").path(0).asText());
        CommandRun.of("fill-mask", "--model", out.toString(), "a [MASK] .").done();
    }

    @Test
    void isAModelToFineTune() throws IOException {
        Path data = Files.writeString(folder.resolve("data.tsv"), "text\tlabel\nthe cat likes milk\tin\nthe bear sleeps\tout\n");
        CommandRun tuned = CommandRun.of("finetune", "--model", run.toString(), "--train", data.toString(), "--text", "text", "--label", "label", "--max-length", "20",
                "--epochs", "1", "--out", folder.resolve("tuned").toString(), "--json").done();
        assertTrue(tuned.err().contains("made anew") && tuned.err().contains("classifier.weight") && !tuned.err().contains("pooler"), tuned.err());
    }

    /** New tokens: known to the saved tokenizer, moved by training, and the model opened again says what it said. */
    @Test
    void learnsNewTokens() throws IOException {
        Path tokens = Files.writeString(folder.resolve("tokens.txt"), "night owl\n<sep2>\tspecial\ncat\n");
        Path owls = Files.writeString(folder.resolve("owls.txt"), ("a night owl sleeps in the tree <sep2> at night\n".repeat(6) + "\n").repeat(4));
        int before = Files.readAllLines(run.resolve("vocab.txt")).size();
        Path out = folder.resolve("owl");
        CommandRun grown = pretrain("--model", run.toString(), "--objective", "mlm", "--train", owls.toString(), "--add-tokens", tokens.toString(),
                "--epochs", "60", "--lr", "3e-3", "--dropout", "0", "--mask-share", "0.3", "--out", out.toString()).done();
        assertTrue(grown.err().contains("'cat' is in the vocabulary already"), grown.err());
        assertTrue(grown.err().contains("new tokens have the ids " + before + " to " + (before + 1)), grown.err());
        assertEquals(before + 2, JSON.readTree(out.resolve("config.json").toFile()).path("vocab_size").asInt());
        JsonNode line = CommandRun.withInput("a Night Owl<sep2>", "tokenize", "--model", out.toString()).done().jsonLines().get(0);
        assertEquals("[\"[CLS]\",\"a\",\"night owl\",\"<sep2>\",\"[SEP]\"]", line.path("tokens").toString());
        JsonNode[] top = new JsonNode[2];
        Path copy = folder.resolve("owl-copy");
        CommandRun.of("convert", out.toString(), "--to", copy.toString()).done();
        for (int i = 0; i < 2; i++) {
            top[i] = CommandRun.of("fill-mask", "--model", (i == 0 ? out : copy).toString(), "--top", "3", "a [MASK] sleeps in the tree <sep2> at night").done().jsonLines().get(0);
        }
        assertEquals("night owl", top[0].path("masks").path(0).path(0).path("token").asText(), top[0].toString());
        assertEquals(top[0], top[1]);
    }

    @Test
    void convertsAndDoesNotReplace() throws IOException {
        Path to = folder.resolve("copy");
        assertEquals(to + "\n", CommandRun.of("convert", run.toString(), "--to", to.toString()).done().out());
        assertEquals(-1, Files.mismatch(run.resolve("model.safetensors"), to.resolve("model.safetensors")), "the same names, order and bits");
        assertEquals(-1, Files.mismatch(run.resolve("tokenizer.json"), to.resolve("tokenizer.json")));
        assertEquals(JSON.readTree(run.resolve("config.json").toFile()), JSON.readTree(to.resolve("config.json").toFile()));
        CommandRun.of("convert", run.toString(), "--to", to.toString()).failedWith("copy", "not empty");
        CommandRun.of("convert", text.toString(), "--to", folder.resolve("none").toString()).failedWith("text.txt");
        assertFalse(Files.exists(folder.resolve("none")) || Files.exists(folder.resolve("none.partial")));
    }

    @Test
    void embedsToNumPyAndShowsItsInside() throws IOException {
        Path npy = folder.resolve("x.npy");
        CommandRun.of("embed", "--model", run.toString(), "--npy", npy.toString(), "the cat", "a bear").done();
        assertEquals(128 + 2 * 64 * 4, Files.size(npy));
        JsonNode all = CommandRun.of("embed", "--model", run.toString(), "--layers", "all", "--attentions", "the cat").done().jsonLines().get(0);
        assertEquals(4, all.path("tokens").size());
        assertEquals(3, all.path("hidden_states").size());
        assertEquals(2, all.path("attentions").size());
        assertEquals(4, all.path("attentions").path(1).path(1).path(3).size());
        JsonNode some = CommandRun.of("embed", "--model", run.toString(), "--layers", "-1,0", "the cat").done().jsonLines().get(0);
        assertEquals(all.path("hidden_states").path("2"), some.path("hidden_states").path("2"));
        assertFalse(some.has("attentions") || some.path("hidden_states").has("1"));
        JsonNode cls = CommandRun.of("embed", "--model", run.toString(), "--pooling", "cls", "the cat").done().jsonLines().get(0);
        JsonNode first = some.path("hidden_states").path("2").path(0);
        assertEquals(64, cls.path("embedding").size());
        for (int i = 0; i < 64; i++) { // the last layer of the first token alone: a library's products of one row may round elsewhere
            assertEquals(first.path(i).asDouble(), cls.path("embedding").path(i).asDouble(), 2e-6);
        }
        CommandRun.of("embed", "--model", run.toString(), "--layers", "3", "x").misusedWith("from -3 to 2");
        CommandRun.of("embed", "--model", run.toString(), "--layers", "a", "x").misusedWith("all, or numbers");
        CommandRun.of("embed", "--model", run.toString(), "--normalize", "--attentions", "x").misusedWith("--normalize is for a vector");
        CommandRun.of("embed", "--model", run.toString(), "--npy", "x.npy", "--attentions", "x").misusedWith("--npy");
    }

    @Test
    void refusesWhatDoesNotGoTogether() {
        pretrain("--model", run.toString(), "--layers", "3", "--out", "x").misusedWith("--model goes on");
        CommandRun.of("pretrain", "--train", text.toString(), "--config", "c.json", "--layers", "2", "--out", "x").misusedWith("--config");
        pretrain("--vocab", run.toString(), "--out", "x").misusedWith("--vocab-size");
        CommandRun.of("pretrain", "--train", text.toString(), "--vocab-size", "3", "--out", "x").misusedWith("--vocab-size is 3");
        pretrain("--max-length", "49", "--out", "x").misusedWith("49", "48 positions");
        pretrain("--mask-share", "1.5", "--out", "x").misusedWith("--mask-share");
        pretrain("--hidden", "65", "--out", "x").misusedWith("65");
        CommandRun.of("pretrain", "--train", text.toString(), "--config", "none.json", "--out", "x").failedWith("none.json");
        CommandRun.of("predict", "--model", run.toString(), "x").misusedWith("nsp");
    }

    @Test
    void takesAVocabularyAndSizesFromFiles() throws IOException {
        Path out = folder.resolve("files");
        JsonNode summary = CommandRun.of("pretrain", "--train", text.toString(), "--config", run.resolve("config.json").toString(), "--vocab", run.toString(),
                "--objective", "mlm", "--steps", "1", "--epochs", "1", "--max-length", "16", "--out", out.toString(), "--json").done().json();
        assertEquals("new (L2 H64 A2)", summary.path("model").asText());
        assertEquals(-1, Files.mismatch(run.resolve("vocab.txt"), out.resolve("vocab.txt")));
    }
}
