package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.backend.OtherJvm;
import org.warpbert.task.TinyModel;

/** The commands that train nothing, and what holds for all: exit codes, streams, argument files, interrupts. */
class CliTest {
    private static final String MODEL = "all-MiniLM-L6-v2";

    @TempDir Path folder;

    @Test
    void helpAndVersion() {
        assertTrue(CommandRun.of("--version").done().out().startsWith("WarpBERT "));
        assertTrue(CommandRun.of("help").done().out().contains("finetune"));
        assertEquals(CommandRun.of("finetune", "--help").done().out(), CommandRun.of("help", "finetune").done().out());
    }

    /** Options that several commands share say nothing of tasks that a command does not have. */
    @Test
    void helpSpeaksOfTheCommandsOwnTasks() {
        for (String command : List.of("embed", "pretrain", "fill-mask")) {
            String help = CommandRun.of(command, "--help").done().out();
            assertFalse(help.matches("(?s).*\\b(qa|choice)\\b.*"), help);
        }
        for (String command : List.of("finetune", "plan", "evaluate", "predict")) {
            assertTrue(CommandRun.of(command, "--help").done().out().contains("384"), command);
        }
    }

    @Test
    void tokenizes() throws IOException {
        Path file = Files.writeString(folder.resolve("texts.txt"), "Unbelievable caf\u00e9s!\r\n\nhello world");
        List<JsonNode> lines = CommandRun.of("tokenize", "--model", MODEL, file.toString()).done().jsonLines();
        assertEquals("{\"text\":\"Unbelievable caf\u00e9s!\",\"tokens\":[\"[CLS]\",\"unbelievable\",\"cafes\",\"!\",\"[SEP]\"],\"ids\":[101,23653,23812,999,102]}",
                lines.get(0).toString());
        assertEquals("[101,102]", lines.get(1).path("ids").toString()); // an empty line is a text too: a line out for a line in
        assertEquals("[\"hello\",\"world\"]", CommandRun.withInput("hello world", "tokenize", "--model", MODEL, "--no-special").done().jsonLines().get(0).path("tokens").toString());
        JsonNode pair = CommandRun.withInput("hello\tworld\n", "tokenize", "--model", MODEL, "--pair-tab").done().jsonLines().get(0);
        assertEquals("[0,0,0,1,1]", pair.path("segments").toString());
        JsonNode cut = CommandRun.withInput("hello big world", "tokenize", "--model", MODEL, "--max-length", "4").done().jsonLines().get(0);
        assertEquals("[\"[CLS]\",\"hello\",\"big\",\"[SEP]\"]", cut.path("tokens").toString());
        assertTrue(cut.path("truncated").asBoolean());
        assertEquals("", CommandRun.of("tokenize", "--model", MODEL).done().out());
    }

    @Test
    void listsAndGetsModels() throws IOException {
        JsonNode models = CommandRun.of("models", "list", "--json").done().json();
        assertEquals(MODEL, models.path(0).path("name").asText());
        JsonNode got = CommandRun.of("models", "get", MODEL, "--json").done().json();
        assertTrue(Files.exists(Path.of(got.path("folder").asText(), "model.safetensors")));
        assertEquals(got.path("folder").asText() + "\n", CommandRun.of("models", "get", MODEL).done().out());
        assertTrue(CommandRun.of("models").done().out().contains(got.path("folder").asText()));
    }

    @Test
    void examinesTheMachine() throws IOException {
        JsonNode findings = CommandRun.of("doctor", "--json").done().json();
        for (String name : List.of("java", "cpu", "memory", "backend cpu", "maven repository", "models", "mvn", "g++", "make", "nvcc",
                "nvidia driver", "cuda libraries", "cuda")) {
            JsonNode found = null;
            for (JsonNode finding : findings) {
                found = finding.path("name").asText().equals(name) ? finding : found;
            }
            assertTrue(found != null && !found.path("detail").asText().isEmpty(), name);
            assertEquals(found.path("state").asText().equals("OK"), found.path("remedy").isNull(), "what is not well has a remedy: " + found);
        }
        assertTrue(CommandRun.of("doctor").done().out().contains("backend cpu"));
    }

    @Test
    void aGpuThatIsAskedForAndCannotBeUsedIsOneLine() {
        CommandRun run = CommandRun.of("embed", "--model", MODEL, "--device", "cuda:999", "hello");
        run.failedWith("cuda"); // no library, no driver, or no such device
        CommandRun.of("embed", "--model", MODEL, "--device", "cude", "hello").failedWith("device \"cude\" is not known; there are auto, cpu, cuda");
    }

    @Test
    void recipesAreReadAndOverridden() {
        CommandRun.of("finetune", "@recipes/cola.args").misusedWith("Missing required options: '--train=FILE', '--out=DIR'");
        CommandRun.of("finetune", "@recipes/none.args").misusedWith("there is no argument file recipes/none.args");
        CommandRun.of("finetune", "@recipes/nsmc.args", "--epochs", "0", "--train", "x.tsv", "--out", "y").misusedWith("(--epochs) is 0");
    }

    @Test
    void aClosedPipeEndsQuietlyAFullDiskDoesNot() {
        CommandRun closed = writingTo("Broken pipe");
        assertEquals(0, closed.code());
        assertEquals("", closed.err());
        CommandRun full = writingTo("No space left on device");
        full.failedWith("standard output", "No space left on device");
    }

    private static CommandRun writingTo(String failure) {
        OutputStream out = new BufferedOutputStream(new OutputStream() {
            @Override
            public void write(int b) throws IOException {
                throw new IOException(failure);
            }
        });
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int code = Main.run(new String[] {"models", "list"}, new Terminal(InputStream.nullInputStream(), out, new PrintStream(err, true, StandardCharsets.UTF_8), false));
        return new CommandRun(code, "", err.toString(StandardCharsets.UTF_8));
    }

    @Test
    void anInterruptLeavesNothing() throws IOException, InterruptedException {
        CommandRun.of("models", "get", MODEL).done();
        Path data = Files.write(folder.resolve("data.tsv"), Stream.concat(Stream.of("label\ttext"), Stream.of("good\ta fine film", "bad\ta dull film")).toList());
        Process process = finetune(MODEL, data);
        try {
            Path metrics = folder.resolve("run.partial").resolve("metrics.jsonl");
            await(process, () -> Files.exists(metrics) && Files.size(metrics) > 0);
            interrupt(process);
        } finally {
            process.destroyForcibly();
        }
        assertEquals(1, process.exitValue());
        assertEquals("", read("out"));
        List<String> lines = read("err").lines().filter(line -> line.startsWith("warpbert: ")).toList();
        assertEquals(List.of("warpbert: interrupted; " + folder.resolve("run") + " was not written"), lines);
        assertFalse(Files.exists(folder.resolve("run")));
        assertFalse(Files.exists(folder.resolve("run.partial")));
    }

    /** Killed once, and interrupted once it has gone on; then it could go on again. */
    @Test
    void aRunThatSavesGoesOn() throws IOException, InterruptedException {
        String model = TinyModel.write(folder.resolve("tiny"), 64, 2).toString();
        Path data = TinyModel.data(folder.resolve("data.tsv"), 3, 20, 5, 31);
        Path partial = folder.resolve("run.partial");
        Process killed = finetune(model, data, "--save-every", "10");
        try {
            await(killed, () -> hasState(partial));
        } finally {
            killed.destroyForcibly().waitFor();
        }
        Process interrupted = finetune(model, data, "--save-every", "10", "--resume");
        try {
            await(interrupted, () -> read("err").contains("going on after step "));
            interrupt(interrupted);
        } finally {
            interrupted.destroyForcibly();
        }
        assertEquals(1, interrupted.exitValue());
        assertTrue(read("err").lines().anyMatch(line -> line.matches("warpbert: interrupted; .*/run was stopped; it can go on \\(--resume\\) after step \\d+")), read("err"));
        assertTrue(Files.exists(partial));
        assertFalse(Files.exists(folder.resolve("run")));
    }

    private static boolean hasState(Path partial) throws IOException {
        if (!Files.exists(partial)) {
            return false;
        }
        try (Stream<Path> files = Files.list(partial)) {
            return files.anyMatch(file -> Files.exists(file.resolve("state.json")));
        }
    }

    /** Begins a run that does not end, to {@code folder}'s run, out and err. */
    private Process finetune(String model, Path data, String... more) throws IOException {
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx1g",
                "-Dorg.bytedeco.javacpp.maxphysicalbytes=0", "-cp", OtherJvm.classes(),
                "org.warpbert.cli.Main", "finetune", "--model", model, "--train", data.toString(), "--text", "text", "--label", "label", "--epochs", "1000000",
                "--out", folder.resolve("run").toString()));
        command.addAll(List.of(more));
        return new ProcessBuilder(command).redirectOutput(folder.resolve("out").toFile()).redirectError(folder.resolve("err").toFile()).start();
    }

    private static final int SIGINT = 2;

    private interface Condition {
        boolean holds() throws IOException;
    }

    private void await(Process process, Condition condition) throws IOException, InterruptedException {
        for (int i = 0; i < 600 && process.isAlive() && !condition.holds(); i++) {
            Thread.sleep(100);
        }
        assertTrue(process.isAlive(), () -> read("err"));
    }

    private static void interrupt(Process process) throws IOException, InterruptedException {
        long ignored = Files.readAllLines(Path.of("/proc/self/status")).stream().filter(line -> line.startsWith("SigIgn:"))
                .mapToLong(line -> Long.parseUnsignedLong(line.substring(7).strip(), 16)).findFirst().orElse(0);
        assumeTrue((ignored & 1 << SIGINT - 1) == 0, "whoever started these tests ignores interrupts, and so do the processes that they start");
        new ProcessBuilder("kill", "-INT", Long.toString(process.pid())).start().waitFor();
        assertTrue(process.waitFor(30, TimeUnit.SECONDS));
    }

    private String read(String name) {
        try {
            return Files.readString(folder.resolve(name));
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    /** Labels of CSV and JSON may hold tabs and line breaks, as texts and candidates may. */
    @Test
    void aResultIsOneLineWhateverItHolds() throws IOException {
        String model = TinyModel.write(folder.resolve("tiny"), 32, 1).toString();
        String run = folder.resolve("run").toString();
        Path data = Files.writeString(folder.resolve("data.jsonl"), "{\"text\":\"w1 w2\",\"label\":\"a\\nb\"}\n{\"text\":\"w3\",\"label\":\"c\\td\"}\n");
        String[] train = {"finetune", "--model", model, "--train", data.toString(), "--text", "text", "--label", "label", "--steps", "1", "--out", run};
        CommandRun.of(train).done();
        assertTrue(CommandRun.of("predict", "--model", run, "w1").done().out().matches("(a b|c d)\t0\\.\\d{4}\tw1\n"));

        CommandRun.of(Stream.concat(Stream.of(train), Stream.of("--multi-label", "--overwrite")).toArray(String[]::new)).done();
        assertTrue(CommandRun.of("predict", "--model", run, "--threshold", "0", "w1").done().out().matches("a b 0\\.\\d{4}, c d 0\\.\\d{4}\tw1\n"));
        CommandRun judged = CommandRun.of("evaluate", "--model", run, "--data", data.toString(), "--text", "text", "--label", "label").done();
        assertTrue(judged.out().contains("\n  a b "), judged.out());

        Path questions = Files.writeString(folder.resolve("questions.jsonl"), "{\"question\":\"w1\",\"choices\":[\"w2\\nw3\",\"w2\\tw3\"],\"label\":0}\n");
        CommandRun.of("finetune", "--task", "choice", "--model", model, "--train", questions.toString(), "--steps", "1", "--out", run, "--overwrite").done();
        assertTrue(CommandRun.of("predict", "--model", run, "--file", questions.toString()).done().out().matches("[01]\t[01]\\.\\d{4}\tw2 w3\n"));
    }

    @Test
    @Tag("heavy")
    void fillsMasks() throws IOException {
        JsonNode line = CommandRun.of("fill-mask", "--model", "bert-base-uncased", "The capital of France is [MASK].").done().jsonLines().get(0);
        assertEquals("paris", line.path("masks").path(0).path(0).path("token").asText());
        assertEquals(0.41679, line.path("masks").path(0).path(0).path("probability").asDouble(), 1e-3);
    }
}
