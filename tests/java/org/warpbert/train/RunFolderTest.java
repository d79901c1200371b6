package org.warpbert.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.WarpBertException;
import org.warpbert.format.AtomicFile;

class RunFolderTest {
    private static final TrainingListener.Step STEP = new TrainingListener.Step(1, 1, 0.5, Double.NaN, 2e-5, 65536, 7, 3.5);

    @TempDir
    Path dir;

    private List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(dir)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void takesItsNameOnlyWhenWhole() throws IOException {
        try (RunFolder folder = RunFolder.open(dir.resolve("run"), false)) {
            folder.metric(STEP);
            assertEquals(List.of("run.partial"), names());
            folder.commit();
        }
        assertEquals(List.of("run"), names());
        assertEquals(List.of("{\"step\":1,\"epoch\":1,\"loss\":0.5,\"grad_norm\":null,\"lr\":2.0E-5,\"loss_scale\":65536.0,\"tokens\":7,\"tokens_per_second\":3.5}"),
                Files.readAllLines(dir.resolve("run/metrics.jsonl")));
    }

    @Test
    void anUnfinishedRunLeavesNothing() throws IOException {
        try (RunFolder folder = RunFolder.open(dir.resolve("a/run"), false)) {
            folder.metric(STEP);
        }
        assertFalse(Files.exists(dir.resolve("a/run")));
        assertFalse(Files.exists(dir.resolve("a/run.partial")));
        assertNull(abandoned());
    }

    @Test
    void twoRunsAtOnceDoNotShareAFolder() throws IOException {
        try (RunFolder first = RunFolder.open(dir.resolve("run"), false)) {
            first.metric(STEP);
            String message = assertThrows(WarpBertException.class, () -> RunFolder.open(dir.resolve("run"), false)).getMessage();
            assertTrue(message.contains("another run"), message);
            first.metric(STEP);
            first.commit();
        }
        assertEquals(2, Files.readAllLines(dir.resolve("run/metrics.jsonl")).size());
    }

    /** What an interrupt says of the runs under way. */
    private static String abandoned() {
        AtomicReference<String> said = new AtomicReference<>();
        RunFolder.abandonOpen(said::set);
        return said.get();
    }

    @Test
    void runsOfOneProcessKnowOfEachOther() throws IOException {
        try (RunFolder first = RunFolder.open(dir.resolve("a"), false); RunFolder second = RunFolder.open(dir.resolve("b"), false)) {
            String message = assertThrows(WarpBertException.class, () -> RunFolder.open(dir.resolve("a"), false)).getMessage();
            assertTrue(message.contains("another run"), message);
            first.metric(STEP);
            second.metric(STEP);
            assertEquals(dir.resolve("a").toAbsolutePath() + " was not written; " + dir.resolve("b").toAbsolutePath() + " was not written", abandoned());
            assertEquals(List.of(), names());
        }
    }

    @Test
    void noRunBeginsWhileAnInterruptEndsTheProcess() throws Exception {
        Thread late = new Thread(() -> RunFolder.open(dir.resolve("run"), false).close());
        RunFolder.abandonOpen(said -> {
            late.start();
            while (late.isAlive() && late.getState() != Thread.State.BLOCKED) {
                Thread.onSpinWait();
            }
            assertFalse(Files.exists(dir.resolve("run.partial")));
        });
        late.join();
    }

    @Test
    void anInterruptAbandonsTheRunUnderWay() throws IOException {
        RunFolder.open(dir.resolve("run"), false);
        assertEquals(dir.resolve("run").toAbsolutePath() + " was not written", abandoned());
        assertEquals(List.of(), names());
    }

    @Test
    void anEarlierRunStaysUntilTheNewOneIsWhole() throws IOException {
        Path run = Files.createDirectories(dir.resolve("run"));
        Files.writeString(run.resolve("summary.json"), "{}");
        WarpBertException refused = assertThrows(WarpBertException.class, () -> RunFolder.open(run, false));
        assertTrue(refused.getMessage().contains("--overwrite"), refused.getMessage());
        try (RunFolder folder = RunFolder.open(run, true)) {
            folder.metric(STEP);
            assertTrue(Files.exists(run.resolve("summary.json")));
        }
        assertTrue(Files.exists(run.resolve("summary.json")));
        try (RunFolder folder = RunFolder.open(run, true)) {
            folder.commit();
        }
        assertFalse(Files.exists(run.resolve("summary.json")));
        assertEquals(List.of("run"), names());
    }

    @Test
    void whatIsNoRunIsNeverReplaced() throws IOException {
        Files.writeString(dir.resolve("thesis.txt"), "years of work");
        assertThrows(WarpBertException.class, () -> RunFolder.open(dir, true));
        assertThrows(WarpBertException.class, () -> RunFolder.open(dir.resolve("thesis.txt"), true));
        assertThrows(WarpBertException.class, () -> RunFolder.open(dir.resolve("thesis.txt/run"), false));
        assertEquals(List.of("thesis.txt"), names());
    }

    @Test
    void whatStandsInARunsFolderBesidesItIsNotLost() throws IOException {
        Path run = Files.createDirectories(dir.resolve("run/sub")).getParent();
        Files.writeString(run.resolve("summary.json"), "{}");
        String message = assertThrows(WarpBertException.class, () -> RunFolder.open(run, true)).getMessage();
        assertTrue(message.contains("other things than a run (sub)"), message);
        assertEquals(List.of("run"), names());
    }

    @Test
    void whatStandsBesideAnUnfinishedRunIsNotLost() throws IOException {
        Path partial = Files.createDirectories(dir.resolve("run.partial/state-3")).getParent(); // as a run leaves it that was killed
        for (String name : List.of("metrics.jsonl", "config.json", "model.safetensors", ".model.safetensors.17-4.tmp")) {
            Files.writeString(partial.resolve(name), "{}");
        }
        for (String name : List.of("thesis.txt", "state-of-the-art", ".thesis.txt.17-4.tmp")) {
            Path mine = Files.writeString(partial.resolve(name), "years of work");
            String message = assertThrows(WarpBertException.class, () -> RunFolder.open(dir.resolve("run"), true)).getMessage();
            assertTrue(message.contains("run.partial holds other things than a run (" + name + ")"), message);
            assertEquals("years of work", Files.readString(mine));
            Files.delete(mine);
        }
        RunFolder.open(dir.resolve("run"), false).close();
        assertEquals(List.of(), names());
    }

    @Test
    void foldersOfTheNamesThatARunTakesMeanwhileAreNotLost() throws IOException {
        for (String name : List.of("run.partial", "run.replaced")) {
            Path mine = Files.createDirectories(dir.resolve(name));
            RunFolder.open(dir.resolve("run"), false).close(); // it is empty
            Files.createDirectories(mine);
            Files.writeString(mine.resolve("thesis.txt"), "years of work");
            String message = assertThrows(WarpBertException.class, () -> RunFolder.open(dir.resolve("run"), true)).getMessage();
            assertTrue(message.contains(name + " holds other things than a run"), message);
            assertEquals(List.of(name), names());
            AtomicFile.deleteFolder(mine);
        }
    }
}
