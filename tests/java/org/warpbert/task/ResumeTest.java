package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Precision;
import org.warpbert.format.NewTokens;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.LayerRates;
import org.warpbert.train.Saving;
import org.warpbert.train.Schedule;
import org.warpbert.train.Selection;
import org.warpbert.train.Summary;
import org.warpbert.train.TrainingListener;

/** Runs that are stopped and go on end with the bits of those that nobody stopped. Twelve examples in batches of four: three steps an epoch. */
class ResumeTest {
    private static final int EPOCHS = 3;
    private static final int STEPS = 9;
    private static final String DEVICE = "warpbert.device-memory";

    @TempDir static Path shared;
    private static Path model;
    private static Path train;
    private static Path dev;

    @TempDir Path folder;
    private final List<String> notes = new ArrayList<>();

    @BeforeAll
    static void write() throws IOException {
        model = TinyModel.write(shared.resolve("tiny"), 64, 2);
        train = TinyModel.data(shared.resolve("train.tsv"), 30, 2, 61, 9, 44, 17, 5, 80, 23, 12, 38, 3);
        dev = TinyModel.data(shared.resolve("dev.tsv"), 70, 4, 31, 8, 90);
    }

    private static Hyperparameters hyper(double lr, LayerRates rates, Selection selection) {
        return new Hyperparameters(EPOCHS, 4, 128, lr, 2, 0.01, 1, 0.1, Schedule.LINEAR, 0, 0, 42, true, rates, selection);
    }

    private static final Columns COLUMNS = new Columns(true, "text", null, "label");
    private static final Hyperparameters PLAIN = hyper(1e-3, LayerRates.EQUAL, Selection.LAST);

    private static final Compute CPU = on("cpu", Precision.F32);

    /** A run that the machine takes away after step {@code stop}; 0: nobody does. */
    private Summary run(String name, Hyperparameters hyper, Compute compute, Path data, Saving saving, int stop) {
        return run(name, ClassifyTask.of(COLUMNS), hyper, compute, data, saving, stop, List.of());
    }

    private Summary run(String name, Task task, Hyperparameters hyper, Compute compute, Path data, Saving saving, int stop, List<String> tokens) {
        Finetune.Options options = new Finetune.Options(model.toString(), task, data, dev, null, hyper, compute, folder.resolve(name), false, saving);
        return Finetune.run(options, () -> tokens.isEmpty() ? Checkpoint.open(options.model()) : Checkpoint.open(options.model()).with(tokens(tokens), notes::add), new TrainingListener() {
            @Override
            public void note(String line) {
                notes.add(line);
            }

            @Override
            public void stepped(Step step) {
                if (step.step() == stop) {
                    throw new Stopped();
                }
            }
        });
    }

    private NewTokens tokens(List<String> tokens) {
        try {
            return NewTokens.read(Files.write(folder.resolve("tokens.txt"), tokens), notes::add);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static final class Stopped extends RuntimeException {
        private static final long serialVersionUID = 1;
    }

    private static Compute on(String device, Precision precision) {
        return new Compute(device, 1, precision, 0);
    }

    private List<String> metrics(String run) throws IOException {
        return Files.readAllLines(folder.resolve(run).resolve("metrics.jsonl")).stream().map(line -> line.replaceFirst(",\"tokens_per_second\":[^,}]+", "")).toList();
    }

    private void assertSameRun(Summary expected, Summary actual) throws IOException {
        for (String file : List.of("model.safetensors", "config.json")) {
            assertEquals(-1, Arrays.mismatch(Files.readAllBytes(folder.resolve("whole").resolve(file)), Files.readAllBytes(folder.resolve("stopped").resolve(file))), file);
        }
        assertEquals(metrics("whole"), metrics("stopped"));
        assertEquals(STEPS, metrics("stopped").size());
        assertEquals(List.of(expected.steps(), expected.skippedSteps(), expected.realTokens(), expected.paddedTokensAvoided(), (long) expected.keptEpoch()),
                List.of(actual.steps(), actual.skippedSteps(), actual.realTokens(), actual.paddedTokensAvoided(), (long) actual.keptEpoch()));
        for (int e = 0; e < EPOCHS; e++) {
            assertEquals(expected.epochs().get(e).trainLoss(), actual.epochs().get(e).trainLoss());
            assertEquals(expected.epochs().get(e).devLoss(), actual.epochs().get(e).devLoss());
            assertEquals(expected.epochs().get(e).metrics(), actual.epochs().get(e).metrics());
        }
        try (Stream<Path> files = Files.list(folder.resolve("stopped"))) {
            assertFalse(files.anyMatch(file -> file.getFileName().toString().startsWith("state-")), "a run that is whole keeps no state");
        }
        assertFalse(Files.exists(folder.resolve("stopped.partial")));
    }

    private void stopAndGoOn(Hyperparameters hyper, Compute compute, int every, int stop, int again) throws IOException {
        Summary whole = run("whole", hyper, compute, train, Saving.NONE, 0);
        assertThrows(Stopped.class, () -> run("stopped", hyper, compute, train, new Saving(every, false), stop));
        assertFalse(Files.exists(folder.resolve("stopped")));
        if (again > 0) {
            assertThrows(Stopped.class, () -> run("stopped", hyper, compute, train, new Saving(every, true), again));
        }
        assertSameRun(whole, run("stopped", hyper, compute, train, new Saving(every, true), 0));
    }

    /** In the middle of an epoch, on its last step, in the last one, right after a state and long after; twice. */
    @ParameterizedTest
    @CsvSource({"1, 2, 0", "2, 3, 0", "2, 5, 8", "3, 4, 0", "4, 9, 0", "5, 9, 9", "2, 4, 5"})
    void endsWithTheSameBits(int every, int stop, int again) throws IOException {
        stopAndGoOn(PLAIN, on("cpu", Precision.F32), every, stop, again);
    }

    /** The best epoch is another than the last, and is known though it was before the stop; patience goes on. */
    @ParameterizedTest
    @ValueSource(ints = {4, 8})
    void knowsTheBestEpoch(int stop) throws IOException {
        stopAndGoOn(hyper(2e-2, LayerRates.EQUAL, new Selection("loss", 3, true)), on("cpu", Precision.F32), 2, stop, 0);
    }

    /** Frozen parts have no moments; each depth has a rate of its own. */
    @Test
    void withFrozenParts() throws IOException {
        stopAndGoOn(hyper(1e-3, new LayerRates(true, 1, 0.9), Selection.LAST), on("cpu", Precision.F32), 2, 5, 0);
    }

    /** The kernels, a step ahead of the host; fp16 with its loss scale. */
    @ParameterizedTest
    @CsvSource({"F32", "BF16", "FP16"})
    void onSimt(Precision precision) throws IOException {
        stopAndGoOn(PLAIN, on("simt", precision), 2, 5, 0);
    }

    /** Nine steps do not change a loss scale; so the state is made to say that more had been taken, which did. */
    @Test
    void theLossScaleIsTheSavedOne() throws IOException {
        Compute simt = on("simt", Precision.FP16);
        assertThrows(Stopped.class, () -> run("stopped", PLAIN, simt, train, new Saving(2, false), 3));
        Path state = folder.resolve("stopped.partial/state-2/state.json");
        String text = Files.readString(state);
        assertTrue(text.contains("\"lossScale\" : 65536.0"), text);
        Files.writeString(state, text.replace("\"lossScale\" : 65536.0", "\"lossScale\" : 512.0").replaceFirst("\"goodSteps\" : \\d+", "\"goodSteps\" : 1998"));
        run("stopped", PLAIN, simt, train, new Saving(2, true), 0);
        List<String> scales = metrics("stopped").stream().map(line -> line.replaceFirst(".*\"loss_scale\":([\\d.]+).*", "$1")).toList();
        assertEquals(List.of("65536.0", "65536.0", "512.0", "512.0", "1024.0"), scales.subList(0, 5));
    }

    @Test
    void anotherRunIsToldSo() throws IOException {
        Compute cpu = on("cpu", Precision.F32);
        assertThrows(Stopped.class, () -> run("stopped", PLAIN, cpu, train, new Saving(2, false), 5));
        assertRefused("hyper.lr was 0.001 and is 0.002", hyper(2e-3, LayerRates.EQUAL, Selection.LAST), cpu, train, new Saving(2, true));
        assertRefused("train_sha256 was ", PLAIN, cpu, dev, new Saving(2, true));
        assertRefused("device was cpu and is simt", PLAIN, on("simt", Precision.F32), train, new Saving(2, true));
        assertRefused("holds a run that was stopped after step 4; go on with it (--resume), or begin anew (--overwrite)", PLAIN, cpu, train, new Saving(2, false));
        Path weights = folder.resolve("stopped.partial/state-4/model.safetensors");
        byte[] tensors = Files.readAllBytes(weights);
        tensors[tensors.length - 2] ^= 1;
        Files.write(weights, tensors);
        assertRefused("model.safetensors is damaged", PLAIN, cpu, train, new Saving(2, true));
        tensors[tensors.length - 2] ^= 1;
        Files.write(weights, tensors);
        Path moments = folder.resolve("stopped.partial/state-4/moments.bin");
        byte[] bytes = Files.readAllBytes(moments);
        bytes[bytes.length / 2] ^= 1;
        Files.write(moments, bytes);
        assertRefused("moments.bin is damaged", PLAIN, cpu, train, new Saving(2, true));
        Files.write(moments, Arrays.copyOf(bytes, bytes.length - 1));
        assertRefused("moments.bin is cut off", PLAIN, cpu, train, new Saving(2, true));
        Files.write(moments, Arrays.copyOf(bytes, bytes.length + 1));
        assertRefused("moments.bin holds more", PLAIN, cpu, train, new Saving(2, true));
        bytes[bytes.length / 2] ^= 1;
        Files.write(moments, bytes);
        Path metrics = folder.resolve("stopped.partial/metrics.jsonl");
        byte[] lines = Files.readAllBytes(metrics);
        Files.write(metrics, Arrays.copyOf(lines, 10));
        assertRefused("metrics.jsonl has lost lines since the run was saved", PLAIN, cpu, train, new Saving(2, true));
        Files.write(metrics, lines);
        Path state = folder.resolve("stopped.partial/state-4/state.json");
        byte[] said = Files.readAllBytes(state);
        Files.writeString(state, "{}");
        assertRefused("state.json is no state of a run", PLAIN, cpu, train, new Saving(2, true));
        Files.write(state, said);
        Summary whole = run("whole", PLAIN, cpu, train, Saving.NONE, 0);
        assertSameRun(whole, run("stopped", PLAIN, cpu, train, new Saving(0, true), 0)); // refusals have changed nothing
    }

    private void assertRefused(String why, Hyperparameters hyper, Compute compute, Path data, Saving saving) {
        String message = assertThrows(WarpBertException.class, () -> run("stopped", hyper, compute, data, saving, 0)).getMessage();
        assertTrue(message.contains(why), message);
    }

    /** Batches that memory cuts into parts go on in the same parts, though there is more memory now; where there is less, that is said. */
    @Test
    void partsOfBatchesAreKept() throws IOException {
        long ample = run("ample", PLAIN, CPU, train, Saving.NONE, 0).plannedBytes();
        try {
            System.setProperty(DEVICE, Long.toString(ample - ample / 16));
            Summary whole = run("whole", PLAIN, CPU, train, Saving.NONE, 0);
            assertTrue(whole.memory().accumulationSteps() > 1, whole.memory().toString());
            assertThrows(Stopped.class, () -> run("stopped", PLAIN, CPU, train, new Saving(2, false), 5));
            System.clearProperty(DEVICE);
            Summary stopped = run("stopped", PLAIN, CPU, train, new Saving(2, true), 0);
            assertSameRun(whole, stopped);
            assertEquals(whole.memory().microBatchTokens(), stopped.memory().microBatchTokens());
            assertTrue(notes.stream().anyMatch(note -> note.startsWith("going on with micro-batches of at most " + whole.memory().microBatchTokens())), notes.toString());

            assertThrows(Stopped.class, () -> run("stoppedAmple", PLAIN, CPU, train, new Saving(2, false), 5));
            System.setProperty(DEVICE, Long.toString(ample - ample / 16));
            assertTrue(run("stoppedAmple", PLAIN, CPU, train, new Saving(2, true), 0).memory().accumulationSteps() > 1);
            assertTrue(notes.stream().anyMatch(note -> note.endsWith("for which there is no room now: results may differ in their last bits")), notes.toString());
        } finally {
            System.clearProperty(DEVICE);
        }
    }

    /** What is chosen of a task or a tokenizer decides the result as the files do. */
    @Test
    void anotherTaskOfTheSameNameIsAnotherRun() {
        List<String> token = List.of("zorkmid");
        assertThrows(Stopped.class, () -> run("stopped", ClassifyTask.of(COLUMNS), PLAIN, CPU, train, new Saving(2, false), 5, token));
        String name = ClassifyTask.NAME;
        assertRefused("task_settings.label_smoothing was 0.0 and is 0.1", ClassifyTask.of(name, COLUMNS, null, 0.1), token);
        assertRefused("task_settings.class_weights was absent and is balanced", ClassifyTask.of(name, COLUMNS, ClassWeights.BALANCED, 0), token);
        assertRefused("task_settings.columns.text was text and is label", ClassifyTask.of(new Columns(true, "label", null, "label")), token);
        assertRefused("task_settings.label_separator was absent and is ;", new MultiLabelTask(name, COLUMNS, ";"), token);
        assertRefused("tokenizer_sha256 was ", ClassifyTask.of(COLUMNS), List.of("quatloo"));
        assertEquals(STEPS, run("stopped", ClassifyTask.of(COLUMNS), PLAIN, CPU, train, new Saving(2, true), 0, token).steps());
    }

    private void assertRefused(String why, Task task, List<String> tokens) {
        String message = assertThrows(WarpBertException.class, () -> run("stopped", task, PLAIN, CPU, train, new Saving(2, true), 0, tokens)).getMessage();
        assertTrue(message.contains(why), message);
    }

    /** Before the first state nothing is left, as of a run that saves none; a state whose writing was cut off is none. */
    @Test
    void withoutAStateThereIsNothingToGoOnWith() throws IOException {
        Compute cpu = on("cpu", Precision.F32);
        assertThrows(Stopped.class, () -> run("stopped", PLAIN, cpu, train, new Saving(4, false), 2));
        assertFalse(Files.exists(folder.resolve("stopped.partial")));
        assertRefused("there is no run to go on with", PLAIN, cpu, train, new Saving(4, true));
        assertThrows(Stopped.class, () -> run("stopped", PLAIN, cpu, train, new Saving(2, false), 3));
        Path cut = Files.createDirectories(folder.resolve("stopped.partial/state-3"));
        Files.write(cut.resolve("moments.bin"), new byte[7]);
        Summary whole = run("whole", PLAIN, cpu, train, Saving.NONE, 0);
        assertSameRun(whole, run("stopped", PLAIN, cpu, train, new Saving(2, true), 0));
        assertTrue(notes.stream().anyMatch(note -> note.equals("going on after step 2 of 9")), notes.toString());
    }
}
