package org.warpbert.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.warpbert.WarpBertException;
import org.warpbert.format.AtomicFile;
import org.warpbert.model.Parameters;

/**
 * The folder that a run leaves. It grows as {@code NAME.partial} beside its place and takes its name at
 * {@link #commit}, so that a folder of that name is always whole. An unfinished run leaves nothing, or, once it has {@link #save}d
 * its state, {@code NAME.partial}, from which it can go on.
 */
public final class RunFolder implements AutoCloseable {
    /** JSON as all our files write it: snake case, NaN as null. */
    public static final ObjectMapper JSON = JsonMapper.builder()
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .addModule(new NanAsNull())
            .build();

    private static final String METRICS = "metrics.jsonl";
    private static final String SUMMARY = "summary.json"; // is written last
    /** All that a run's folder holds when it is whole. */
    private static final Set<String> FILES = Set.of(METRICS, SUMMARY, "training.png", "config.json", "model.safetensors", "vocab.txt",
            "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json");
    /** This process's runs under way, by their places; whoever opens, closes or abandons one holds its monitor. */
    private static final Map<Path, RunFolder> OPEN = new HashMap<>();

    private final Path place;
    private final Path staging;
    private final boolean overwrite;
    private final FileChannel metricsFile;
    private final BufferedWriter metrics;
    private volatile SavedRun saved; // or null
    private boolean finished;

    private RunFolder(Path place, Path staging, boolean overwrite, boolean resume) throws IOException {
        this.place = place;
        this.staging = staging;
        this.overwrite = overwrite;
        refuseUnderWay(place, staging);
        saved = SavedRun.find(staging);
        if (resume && saved == null) {
            throw new WarpBertException("there is no run to go on with at " + staging + ": one that is stopped leaves it from its first saving (--save-every) on");
        }
        if (!resume && saved != null && !overwrite) {
            throw new WarpBertException(staging + " holds a run that was stopped after step " + saved.steps() + "; go on with it (--resume), or begin anew (--overwrite)");
        }
        if (!resume) {
            saved = null;
            AtomicFile.deleteFolder(staging); // of a run that was killed
            Files.createDirectories(staging);
        }
        FileChannel channel = FileChannel.open(staging.resolve(METRICS), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        lock(channel); // while this run is under way; the system lets go of it when the process ends, however it ends
        if (resume) {
            if (channel.size() < saved.metricsBytes()) {
                channel.close();
                throw new WarpBertException(staging.resolve(METRICS) + " has lost lines since the run was saved");
            }
            channel.truncate(saved.metricsBytes()).position(saved.metricsBytes());
        }
        metricsFile = channel;
        metrics = new BufferedWriter(Channels.newWriter(channel, StandardCharsets.UTF_8));
    }

    private static void lock(FileChannel channel) {
        try {
            channel.lock();
        } catch (IOException e) {
            // a file system without locks: that two runs of one name do not meet is then left to the user
        }
    }

    /** Two runs of one name would write into each other's folder. */
    private static void refuseUnderWay(Path place, Path staging) throws IOException {
        boolean underWay = OPEN.containsKey(place);
        if (!underWay && Files.exists(staging.resolve(METRICS))) {
            try (FileChannel channel = FileChannel.open(staging.resolve(METRICS), StandardOpenOption.WRITE)) {
                underWay = channel.tryLock() == null;
            } catch (OverlappingFileLockException e) {
                underWay = true; // ours, by another name of its place
            }
        }
        if (underWay) {
            throw new WarpBertException("another run is writing to " + place + " just now; give another folder (--out), or wait for it");
        }
    }

    /** Starts a new run's folder: {@link #open(Path, boolean, boolean)}. */
    public static RunFolder open(Path out, boolean overwrite) {
        return open(out, overwrite, false);
    }

    /**
     * Starts a run folder.
     *
     * @param overwrite whether a run that has this place may be replaced, once the new one is whole
     * @param resume    whether it is one that was stopped, and goes on: see {@link #saved}
     */
    public static RunFolder open(Path out, boolean overwrite, boolean resume) {
        Path place = out.toAbsolutePath().normalize();
        if (Files.exists(place) && !Files.isDirectory(place)) {
            throw new WarpBertException(out + " is a file; a run (--out) makes a folder");
        }
        if (Files.isSymbolicLink(place) && !Files.exists(place)) {
            throw new WarpBertException(out + " is a link to what does not exist; make that folder, or give another (--out)");
        }
        if (!overwrite && !isEmpty(place)) {
            throw new WarpBertException(out + " exists and is not empty; give another folder (--out), or have it replaced (--overwrite)");
        }
        Path staging = place.resolveSibling(place.getFileName() + ".partial");
        refuseToReplace(place, other(place, SUMMARY));
        refuseToReplace(replaced(place), other(replaced(place), SUMMARY));
        if (!resume) { // which deletes nothing
            refuseToReplace(staging, other(staging, METRICS));
        }
        try {
            synchronized (OPEN) {
                RunFolder folder = new RunFolder(place, staging, overwrite, resume);
                OPEN.put(place, folder);
                return folder;
            }
        } catch (IOException e) {
            throw new WarpBertException(out + " cannot be written: " + AtomicFile.reason(e), e);
        }
    }

    /** Where a run stands while the one that takes its place moves there. */
    private static Path replaced(Path place) {
        return place.resolveSibling(place.getFileName() + ".replaced");
    }

    private static void refuseToReplace(Path folder, Path other) {
        if (other != null) {
            throw new WarpBertException(folder + " holds other things than a run (" + other + "); it is not replaced, give another folder (--out)");
        }
    }

    /** What of a folder no run has written, or null: everything where it lacks the mark of a run. */
    private static Path other(Path folder, String mark) {
        if (isEmpty(folder)) {
            return null;
        }
        boolean run = Files.exists(folder.resolve(mark));
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(Path::getFileName).filter(file -> !run || !isWritten(file.toString())).min(Comparator.naturalOrder()).orElse(null);
        } catch (IOException e) {
            throw new WarpBertException(folder + " cannot be read: " + AtomicFile.reason(e), e);
        }
    }

    /** Whether a run writes what has this name, sooner or later. */
    private static boolean isWritten(String name) {
        return FILES.contains(name) || SavedRun.isState(name) || FILES.stream().anyMatch(file -> AtomicFile.isTemporary(name, file));
    }

    private static boolean isEmpty(Path folder) {
        if (!Files.exists(folder)) {
            return true;
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.findAny().isEmpty();
        } catch (IOException e) {
            throw new WarpBertException(folder + " cannot be read: " + AtomicFile.reason(e), e);
        }
    }

    /** Where files are to be written before {@link #commit}. */
    public Path staging() {
        return staging;
    }

    /** The state that the run goes on from, or has saved last; null where there is none. */
    public SavedRun saved() {
        return saved;
    }

    /**
     * Saves the run's state after the step that the trainer has finished, in place of the one before.
     *
     * @param settings what must be the same when the run goes on
     * @param progress what the caller must know then: a record
     */
    public void save(JsonNode settings, Object progress, Parameters parameters, Trainer trainer) {
        try {
            saved = SavedRun.write(staging, settings, SavedRun.JSON.valueToTree(progress), metricsFile.position(), parameters, trainer);
        } catch (IOException e) {
            throw new WarpBertException("metrics.jsonl cannot be written in " + staging + ": " + AtomicFile.reason(e), e);
        }
    }

    /** Adds a line to {@code metrics.jsonl}. */
    public void metric(TrainingListener.Step step) {
        try {
            metrics.write(JSON.writeValueAsString(step));
            metrics.newLine();
            metrics.flush(); // a line at a time: a reader that follows the file sees whole lines
        } catch (IOException e) {
            throw new WarpBertException("metrics.jsonl cannot be written in " + staging + ": " + AtomicFile.reason(e), e);
        }
    }

    /** Writes {@code summary.json}. */
    public void summary(Summary summary) {
        try {
            AtomicFile.write(staging.resolve(SUMMARY), JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(summary));
        } catch (IOException e) {
            throw new WarpBertException("summary.json cannot be written in " + staging + ": " + AtomicFile.reason(e), e);
        }
    }

    /** Gives the whole folder its name. */
    public void commit() {
        synchronized (OPEN) { // an interrupt waits until it has it
            try {
                metrics.close();
                SavedRun.deleteBut(staging, null);
                Path replaced = replaced(place);
                AtomicFile.deleteFolder(replaced);
                if (Files.exists(place) && (overwrite || isEmpty(place))) {
                    Files.move(place, replaced, StandardCopyOption.ATOMIC_MOVE);
                }
                Files.move(staging, place, StandardCopyOption.ATOMIC_MOVE);
                finished = true;
                AtomicFile.deleteFolder(replaced);
            } catch (IOException e) {
                throw new WarpBertException(place + " cannot be written: " + AtomicFile.reason(e) + "; the run is in " + staging, e);
            } finally {
                OPEN.remove(place, this);
            }
        }
    }

    /** Removes what an unfinished run has written, unless it can go on from it. */
    @Override
    public void close() {
        synchronized (OPEN) {
            OPEN.remove(place, this);
            if (!finished) {
                finished = true;
                try {
                    metrics.close();
                    if (saved == null) {
                        AtomicFile.deleteFolder(staging);
                    }
                } catch (IOException e) {
                    throw new WarpBertException(staging + " cannot be removed: " + AtomicFile.reason(e), e);
                }
            }
        }
    }

    /**
     * For an interrupt: {@link #close}s the folders of the runs under way.
     *
     * @param last told what became of them, for the user; null where no run is under way. Until it returns no run begins or ends
     */
    public static void abandonOpen(Consumer<String> last) {
        synchronized (OPEN) {
            StringBuilder said = new StringBuilder();
            for (RunFolder folder : new TreeMap<>(OPEN).values()) {
                said.append(said.isEmpty() ? "" : "; ").append(folder.abandon());
            }
            last.accept(said.isEmpty() ? null : said.toString());
        }
    }

    private String abandon() {
        try {
            close();
        } catch (WarpBertException e) {
            return e.getMessage();
        }
        return place + (saved == null ? " was not written" : " was stopped; it can go on (--resume) after step " + saved.steps());
    }
}
