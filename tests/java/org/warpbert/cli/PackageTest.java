package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The archive of {@code ./warpbert package}, where one was made: unpacked and run in an empty environment. */
@Tag("heavy")
class PackageTest {
    private static final long MOST_BYTES = 60_000_000;

    @TempDir Path folder;
    private Path home;

    @BeforeEach
    void unpack() throws IOException, InterruptedException {
        Path archive;
        try (Stream<Path> files = Files.list(Path.of("target"))) {
            archive = files.filter(file -> file.getFileName().toString().matches("warpbert-.*-linux-x86_64\\.tar\\.gz")).findFirst().orElse(null);
        }
        assumeTrue(archive != null, "there is no archive in target: ./warpbert package makes it");
        assertTrue(Files.size(archive) < MOST_BYTES, archive + " has " + Files.size(archive) + " bytes");
        Path unpacked = Files.createDirectory(folder.resolve("a folder with spaces"));
        assertEquals(0, new ProcessBuilder("tar", "-xzf", archive.toAbsolutePath().toString()).directory(unpacked.toFile()).inheritIO().start().waitFor());
        try (Stream<Path> roots = Files.list(unpacked)) {
            List<Path> all = roots.toList();
            assertEquals(1, all.size(), "one folder: " + all);
            home = all.get(0);
        }
    }

    private record Run(int code, String out, String err) {}

    /** With nothing in the environment, from another folder. */
    private Run run(Path command, String... args) throws IOException, InterruptedException {
        List<String> line = new ArrayList<>(List.of("/usr/bin/env", "-i", command.toString()));
        line.addAll(List.of(args));
        Path err = folder.resolve("err");
        Process process = new ProcessBuilder(line).directory(folder.toFile()).redirectError(err.toFile()).start();
        process.getOutputStream().close();
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Run(process.waitFor(), out, Files.readString(err));
    }

    @Test
    void runsInAnEmptyEnvironment() throws IOException, InterruptedException {
        Path command = home.resolve("bin").resolve("warpbert");
        Run doctor = run(command, "doctor", "--json");
        assertEquals(0, doctor.code, doctor.err);
        List<String> names = new ArrayList<>();
        for (JsonNode finding : new ObjectMapper().readTree(doctor.out)) {
            names.add(finding.path("name").asText());
            if (finding.path("name").asText().equals("java")) {
                assertTrue(finding.path("detail").asText().endsWith(home.toRealPath().resolve("runtime").toString()), finding.toString());
            }
            assertFalse(finding.path("state").asText().equals("MISSING"), finding.toString());
        }
        assertTrue(names.contains("backend cpu") && !names.contains("mvn"), names.toString());

        Path link = Files.createSymbolicLink(folder.resolve("wb"), command);
        Path data = Files.write(folder.resolve("data.tsv"), List.of("label\ttext", "good\ta fine film", "bad\ta dull film"));
        Run trained = run(link, "finetune", "--model", "all-MiniLM-L6-v2", "--train", data.toString(), "--text", "text", "--label", "label",
                "--epochs", "1", "--out", "run");
        assertEquals(0, trained.code, trained.err);
        Run predicted = run(link, "predict", "--model", "run", "--json", "a fine film");
        assertEquals(0, predicted.code, predicted.err);
        assertTrue(predicted.out.contains("good") || predicted.out.contains("bad"), predicted.out);
        Run korean = run(link, "predict", "--model", "run", "--json", "재미있다"); // an empty environment names no locale
        assertTrue(korean.out.contains("재미있다"), korean.out + korean.err);
        Run wrong = run(link, "embed", "--model", "all-MiniLM-L6-v2", "--device", "cuda:999", "x");
        assertEquals(1, wrong.code);
        assertEquals(1, wrong.err.lines().filter(l -> l.startsWith("warpbert: ")).count(), wrong.err);
    }

    /** Without a GPU it says so, in its report as well; the tests of the ops load. */
    @Test
    void checksAGpu() throws IOException, InterruptedException {
        assumeTrue(Files.isDirectory(home.resolve("lib/check")), "it was packaged without CUDA");
        Run help = run(home.resolve("bin").resolve("warpbert"), "gpu-check", "--help");
        assertEquals(0, help.code, help.err);
        assertTrue(help.out.contains("--device"), help.out);
        Run checked = run(home.resolve("bin").resolve("warpbert"), "gpu-check", "--only", "parity OpErrorsTest", "--out", "report");
        JsonNode report = new ObjectMapper().readTree(folder.resolve("report/gpu-check.json").toFile());
        assertEquals(checked.code == 0, report.path("passed").asBoolean(), checked.out);
        assertEquals("device", report.at("/steps/0/name").asText());
        assertFalse(checked.out.contains("ClassNotFound") || checked.out.contains("NoClassDef"), checked.out);
    }

    @Test
    void holdsWhatItRunsWithAndSaysWhoseItIs() throws IOException {
        String notices = Files.readString(home.resolve("NOTICES.md"));
        List<String> named = notices.lines().filter(line -> line.startsWith("| ")).flatMap(line -> Stream.of(line.split("\\|")[1].split(",")))
                .map(String::strip).toList();
        try (Stream<Path> files = Files.list(home.resolve("lib"))) {
            for (String jar : files.map(file -> file.getFileName().toString()).filter(name -> name.endsWith(".jar")).toList()) {
                String artifact = jar.replaceFirst("-[0-9].*", "");
                assertTrue(artifact.equals("warpbert") || named.contains(artifact), jar + " is not in NOTICES.md");
                assertFalse(jar.matches("(junit|pytorch|onnxruntime|jmh).*"), jar + " is for tests");
            }
        }
        if (Files.isDirectory(home.resolve("lib/check"))) { // made with CUDA
            try (Stream<Path> files = Files.list(home.resolve("lib/check"))) {
                for (String jar : files.map(file -> file.getFileName().toString()).toList()) {
                    assertTrue(jar.startsWith("warpbert-") || named.contains(jar.replaceFirst("-[0-9].*", "")), jar + " is not in NOTICES.md");
                }
            }
        }
        for (String file : List.of("LICENSE", "README.md", "runtime/legal/java.base/LICENSE", "runtime/bin/java")) {
            assertTrue(Files.exists(home.resolve(file)), file);
        }
    }
}
