package org.warpbert.text;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Assumptions;
import org.warpbert.format.ModelFolder;
import org.warpbert.hub.Hub;

/** Where tests find real data; absent data skips a test and says why. */
public final class TestData {
    private static final Path SHARED = Path.of(System.getProperty("warpbert.shared", "../shared"));

    private TestData() {
    }

    public static Path shared(String name) {
        Path file = SHARED.resolve("data").resolve(name);
        Assumptions.assumeTrue(Files.exists(file), () -> file + " is not there (-Dwarpbert.shared=FOLDER)");
        return file;
    }

    /** bert-base-uncased's vocabulary of 30,522 pieces, as MiniLM carries it. */
    static WordPieceTokenizer uncased() {
        try (ModelFolder model = ModelFolder.open(Hub.resolve("all-MiniLM-L6-v2"))) {
            return new WordPieceTokenizer(model.vocabulary(), model.lowerCase());
        }
    }
}
