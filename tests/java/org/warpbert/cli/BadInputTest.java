package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What users get wrong: one clear line, exit code 1, nothing half-written. */
class BadInputTest {
    private static final String GOOD = "label\ttext\ngood\ta fine film\nbad\ta dull film\ngood\twell played\nbad\tbadly played\n";

    @TempDir Path folder;

    private CommandRun train(String data, String... more) throws IOException {
        return train(data.getBytes(StandardCharsets.UTF_8), more);
    }

    private CommandRun train(byte[] data, String... more) throws IOException {
        Path file = Files.write(folder.resolve("data.tsv"), data);
        List<String> args = new ArrayList<>(List.of("finetune", "--model", "all-MiniLM-L6-v2", "--train", file.toString(), "--text", "text", "--label", "label",
                "--out", folder.resolve("run").toString(), "--steps", "1"));
        args.addAll(List.of(more));
        return CommandRun.of(args.toArray(String[]::new));
    }

    private void nothingWritten(String... expected) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            assertEquals(Stream.of(expected).sorted().toList(), files.map(f -> f.getFileName().toString()).sorted().toList());
        }
    }

    @Test
    void wrongColumn() throws IOException {
        train(GOOD, "--text", "review").failedWith("data.tsv", "'review'", "'text'");
        train(GOOD, "--no-header", "--text", "1", "--label", "7").failedWith("data.tsv", "'7'", "0 to 1");
        nothingWritten("data.tsv");
    }

    @Test
    void raggedRow() throws IOException {
        train(GOOD + "good\n").failedWith("data.tsv, line 6");
        nothingWritten("data.tsv");
    }

    @Test
    void notUtf8() throws IOException {
        byte[] bytes = (GOOD + "bad\tcaf\u00e9\n").getBytes(StandardCharsets.ISO_8859_1);
        train(bytes).failedWith("data.tsv", "line 6", "UTF-8");
        for (Charset utf16 : List.of(StandardCharsets.UTF_16LE, StandardCharsets.UTF_16BE)) {
            for (String before : List.of("", "\n", "\n\n", "\r\n")) {
                train((before + GOOD).getBytes(utf16)).failedWith("data.tsv looks like UTF-16", "UTF-8");
            }
        }
        CommandRun.withInput(bytes, "tokenize", "--model", "all-MiniLM-L6-v2").failedWith("standard input, line 6", "UTF-8");
        nothingWritten("data.tsv");
    }

    @Test
    void labelOnlyInDev() throws IOException {
        Path dev = Files.writeString(folder.resolve("dev.tsv"), "label\ttext\ngood\tyes\nugly\tno\n");
        train(GOOD, "--dev", dev.toString()).failedWith("dev.tsv, line 3", "'ugly'");
        nothingWritten("data.tsv", "dev.tsv");
    }

    @Test
    void emptyAndOverlongTextsAreCounted() throws IOException {
        CommandRun run = train(GOOD + "good\t \nbad\t\ngood\t" + "very ".repeat(600) + "long\n", "--max-length", "512").done();
        assertTrue(run.err().contains("2 of 7 rows skipped"), run.err());
        assertTrue(run.err().contains("1 of 5 training examples are cut to 512 tokens"), run.err());
    }

    @Test
    void missingFileAndModel() throws IOException {
        train(GOOD, "--dev", folder.resolve("nowhere.tsv").toString()).failedWith("nowhere.tsv", "does not exist");
        train(GOOD, "--model", "bert-huge").failedWith("'bert-huge'", "all-MiniLM-L6-v2");
        train(GOOD, "--model", folder.toString()).failedWith("no model in");
        train(GOOD, "--device", "tpu").failedWith("tpu");
        train(GOOD, "--device", "cpu", "--precision", "fp16").failedWith("the precision fp16 (--precision)", "cpu", "f32");
        nothingWritten("data.tsv");
    }

    @Test
    void unwritableFolder() throws IOException {
        train(GOOD, "--out", "/proc/warpbert/run").failedWith("/proc/warpbert/run", "cannot be written");
        train(GOOD, "--out", folder.resolve("data.tsv").toString()).failedWith("data.tsv", "file");
        train(GOOD, "--overwrite", "--out", folder.toString()).failedWith("other things than a run");
        Path link = Files.createSymbolicLink(folder.resolve("link"), folder.resolve("nowhere"));
        train(GOOD, "--out", link.toString()).failedWith("link to what does not exist");
        nothingWritten("data.tsv", "link");
    }

    @Test
    void noHead() {
        CommandRun.of("predict", "--model", "all-MiniLM-L6-v2", "a text").failedWith("no classification head", "fine-tune");
        CommandRun.of("fill-mask", "--model", "all-MiniLM-L6-v2", "a [MASK]").failedWith("masked language model head");
    }

    @Test
    void tooLongForTheModel() throws IOException {
        train(GOOD, "--max-length", "600").failedWith("(--max-length) is 600", "512 positions");
        nothingWritten("data.tsv");
    }

    @Test
    void wrongUsage() throws IOException {
        CommandRun.of("finetune").misusedWith("--model", "--train");
        CommandRun.of("fintune").misusedWith("fintune");
        CommandRun.of().misusedWith("Missing command", "finetune");
        train(GOOD, "--task", "translate").misusedWith("'translate'", "classify");
        train(GOOD, "--epochs", "0").misusedWith("(--epochs) is 0");
        train(GOOD, "--lr", "fast").misusedWith("--lr", "fast");
        train(GOOD, "--precision", "int8").misusedWith("--precision", "int8", "BF16");
        train(GOOD, "--schedule", "cosine").misusedWith("--schedule", "linear or constant");
        train(GOOD, "--dropout", "1.5").misusedWith("--dropout");
        train(GOOD, "--dev-split", "2").misusedWith("--dev-split");
        train(GOOD, "--dev-split", "0.5", "--dev", "dev.tsv").misusedWith("(--dev)", "(--dev-split) exclude each other");
        train(GOOD, "--no-such-option").misusedWith("--no-such-option");
        train(GOOD, "--threads", "-1").misusedWith("--threads", "it must be at least 0, not -1");
        train(GOOD, "--threads", "two").misusedWith("'--threads': 'two' is not an int");
        train(GOOD, "--mask-share", "0.3").misusedWith("--mask-share", "mlm, nsp, sop", "not classify");
        train(GOOD, "--task", "nsp").misusedWith("The task nsp knows its files", "--text");
        for (String option : List.of("--layers", "--hidden", "--heads", "--intermediate", "--positions", "--vocab-size")) {
            CommandRun.of("pretrain", option, "-5", "--train", "t", "--out", "o").misusedWith("'" + option + "': it must be at least 1, not -5");
        }
        CommandRun.of("plan", "--model", "m", "--labels", "0").misusedWith("'--labels': it must be at least 1, not 0");
        CommandRun.of("pretrain", "--hidden", "1000000000", "--train", "t", "--out", "o").misusedWith("hidden_size 1000000000", "more than any machine could hold");
        CommandRun.of("pretrain", "--hidden", "64", "--layers", "400000000", "--train", "t", "--out", "o").misusedWith("num_hidden_layers 400000000", "2e+13 parameters");
        CommandRun.of("embed", "--model", "all-MiniLM-L6-v2", "--npy", folder.toString(), "a").misusedWith("--npy", "is a folder");
        CommandRun.of("models", "get").misusedWith("NAME");
        CommandRun.of("embed", "--model", "all-MiniLM-L6-v2", "--batch-size", "0", "a").misusedWith("--batch-size");
        nothingWritten("data.tsv");
    }
}
