package org.warpbert.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import java.util.zip.CheckedInputStream;
import java.util.zip.CheckedOutputStream;
import org.warpbert.WarpBertException;
import org.warpbert.format.AtomicFile;
import org.warpbert.format.Safetensors;
import org.warpbert.format.SafetensorsWriter;
import org.warpbert.format.TensorSource;
import org.warpbert.model.Parameters;

/**
 * What a run that was stopped left to go on from: a folder {@code state-STEP} with the weights ({@code model.safetensors}), AdamW's
 * moments ({@code moments.bin}: as they are kept, in the machine's byte order) and {@code state.json}, which is written last: a folder
 * without it is no state.
 */
public final class SavedRun {
    private static final String PREFIX = "state-";
    private static final String STATE = "state.json";
    private static final String MOMENTS = "moments.bin";
    /** Numbers as they are: NaN stays one, which {@link RunFolder#JSON} makes a null. */
    static final ObjectMapper JSON = JsonMapper.builder().build();

    private final Path folder;
    private final State state;

    /**
     * @param settings     what must be the same when the run goes on
     * @param trainer      where it stands
     * @param progress     what the task's side knows of the run so far
     * @param metricsBytes length of {@code metrics.jsonl} then
     * @param weightsCrc   CRC-32C of {@code model.safetensors}
     * @param momentsCrc   CRC-32C of {@code moments.bin}
     */
    private record State(JsonNode settings, Trainer.State trainer, JsonNode progress, long metricsBytes, long weightsCrc, long momentsCrc) {}

    private SavedRun(Path folder, State state) {
        this.folder = folder;
        this.state = state;
    }

    /** The last state in a run's folder, or null. */
    static SavedRun find(Path run) {
        Path last = null;
        try {
            for (Path folder : states(run)) {
                if (Files.exists(folder.resolve(STATE))) {
                    last = folder;
                }
            }
            if (last == null) {
                return null;
            }
            State state = JSON.readValue(last.resolve(STATE).toFile(), State.class);
            if (state == null || state.settings == null || state.trainer == null || state.progress == null) {
                throw new WarpBertException(last.resolve(STATE) + " is no state of a run");
            }
            return new SavedRun(last, state);
        } catch (IOException e) {
            throw new WarpBertException((last == null ? run : last.resolve(STATE)) + " cannot be read: " + AtomicFile.reason(e), e);
        }
    }

    /** Whether this is the name of a state's folder. */
    static boolean isState(String name) {
        return name.matches(PREFIX + "\\d{1,18}");
    }

    /** Folders of states, whole or not, in the order of their steps. */
    private static List<Path> states(Path run) throws IOException {
        try (Stream<Path> files = Files.list(run)) {
            return files.filter(file -> isState(file.getFileName().toString()))
                    .sorted(Comparator.comparingLong(file -> Long.parseLong(file.getFileName().toString().substring(PREFIX.length())))).toList();
        } catch (NoSuchFileException e) {
            return List.of();
        }
    }

    /** Writes the state after the step that the trainer has finished, and removes those before it. */
    static SavedRun write(Path run, JsonNode settings, JsonNode progress, long metricsBytes, Parameters parameters, Trainer trainer) {
        Trainer.State at = trainer.state();
        Path folder = run.resolve(PREFIX + at.steps());
        try {
            AtomicFile.deleteFolder(folder);
            Files.createDirectories(folder);
            Path weights = folder.resolve(Safetensors.FILE);
            SafetensorsWriter.write(weights, parameters.shapes(), parameters::host);
            CRC32C crc = new CRC32C();
            AtomicFile.write(folder.resolve(MOMENTS), channel -> trainer.writeMoments(new CheckedOutputStream(Channels.newOutputStream(channel), crc)));
            State state = new State(settings, at, progress, metricsBytes, checksum(weights), crc.getValue());
            AtomicFile.write(folder.resolve(STATE), JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(state));
            deleteBut(run, folder);
            return new SavedRun(folder, state);
        } catch (IOException e) {
            throw new WarpBertException("the run's state cannot be written to " + folder + ": " + AtomicFile.reason(e), e);
        }
    }

    /** Removes all states of a run but one; null: all. */
    static void deleteBut(Path run, Path kept) throws IOException {
        for (Path folder : states(run)) {
            if (!folder.equals(kept)) {
                AtomicFile.deleteFolder(folder);
            }
        }
    }

    /** Steps that had been taken. */
    public long steps() {
        return state.trainer.steps();
    }

    /** What was said of the run so far. */
    public <T> T progress(Class<T> type) {
        return JSON.convertValue(state.progress, type);
    }

    long metricsBytes() {
        return state.metricsBytes;
    }

    /** An error that names the first setting which is not what it was. */
    public void requireSame(JsonNode settings) {
        requireSame("", state.settings, settings);
    }

    private void requireSame(String name, JsonNode was, JsonNode is) {
        if (was.isObject() && is.isObject()) {
            for (Iterator<Map.Entry<String, JsonNode>> fields = is.fields(); fields.hasNext(); ) {
                Map.Entry<String, JsonNode> field = fields.next();
                requireSame(name.isEmpty() ? field.getKey() : name + "." + field.getKey(), was.path(field.getKey()), field.getValue());
            }
        } else if (!was.equals(is) && !(was.isMissingNode() && is.isNull())) {
            throw new WarpBertException("this is not the run that was stopped at step " + steps() + ": " + name + " was " + was.asText("absent") + " and is "
                    + is.asText("absent"));
        }
    }

    /** The weights, under their names in our tables, found whole. The caller closes it. */
    public TensorSource weights() {
        Path weights = folder.resolve(Safetensors.FILE);
        try {
            requireWhole(weights, checksum(weights), state.weightsCrc);
        } catch (IOException e) {
            throw new WarpBertException(weights + " cannot be read: " + AtomicFile.reason(e), e);
        }
        return Safetensors.open(folder);
    }

    private static long checksum(Path file) throws IOException {
        CRC32C crc = new CRC32C();
        try (InputStream in = new CheckedInputStream(Files.newInputStream(file), crc)) {
            in.transferTo(OutputStream.nullOutputStream());
        }
        return crc.getValue();
    }

    private static void requireWhole(Path file, long is, long was) {
        if (is != was) {
            throw new WarpBertException(file + " is damaged: its checksum is not that of " + STATE);
        }
    }

    /** Has a trainer of the same run go on from here; its parameters hold {@link #weights} already. After an error it is of no use. */
    public void restore(Trainer trainer) {
        Path moments = folder.resolve(MOMENTS);
        CRC32C crc = new CRC32C();
        try (InputStream in = new CheckedInputStream(Files.newInputStream(moments), crc)) {
            trainer.restore(state.trainer, new DataInputStream(in));
            if (in.read() >= 0) {
                throw new WarpBertException(moments + " holds more than this model has");
            }
        } catch (EOFException e) {
            throw new WarpBertException(moments + " is cut off", e);
        } catch (IOException e) {
            throw new WarpBertException(moments + " cannot be read: " + AtomicFile.reason(e), e);
        }
        requireWhole(moments, crc.getValue(), state.momentsCrc);
    }
}
