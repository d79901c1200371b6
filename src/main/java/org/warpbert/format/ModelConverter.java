package org.warpbert.format;

import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Stream;
import org.warpbert.WarpBertException;

/** Makes a Hugging Face folder of a model of any layout that can be read. */
public final class ModelConverter {
    private ModelConverter() {}

    /**
     * Converts a model; the result is opened again and every tensor compared, bit by bit, before the folder takes its name.
     *
     * @param to       a folder that is not there yet, or empty
     * @param progress of the writing
     */
    public static void convert(Path model, Path to, ModelWriter.Progress progress) {
        Path place = to.toAbsolutePath().normalize();
        Path staging = place.resolveSibling(place.getFileName() + ".partial");
        try {
            if (!empty(place)) throw new WarpBertException(to + " exists and is not empty; give another place");
            AtomicFile.deleteFolder(staging); // of a conversion that was killed
            Files.createDirectories(staging);
            try (ModelFolder source = ModelFolder.open(model)) {
                ModelWriter.copy(source, staging, progress);
                verify(source, staging);
                Files.deleteIfExists(place);
                Files.move(staging, place, StandardCopyOption.ATOMIC_MOVE);
            } finally {
                AtomicFile.deleteFolder(staging);
            }
        } catch (IOException e) {
            throw new WarpBertException(to + " cannot be written: " + AtomicFile.reason(e), e);
        }
    }

    private static boolean empty(Path folder) throws IOException {
        if (!Files.exists(folder)) return true;
        if (!Files.isDirectory(folder)) return false;
        try (Stream<Path> files = Files.list(folder)) {
            return files.findAny().isEmpty();
        }
    }

    private static void verify(ModelFolder source, Path written) {
        try (ModelFolder copy = ModelFolder.open(written)) {
            boolean same = copy.vocabulary().equals(source.vocabulary()) && copy.lowerCase() == source.lowerCase()
                    && copy.addedTokens().equals(source.addedTokens()) && copy.config().equals(source.config().withUse(copy.config().use()))
                    && copy.tensors().shapes().keySet().equals(source.tensors().shapes().keySet());
            if (!same) throw new WarpBertException("what was written to " + written + " does not read back as " + source.path());
            for (Map.Entry<String, long[]> tensor : source.tensors().shapes().entrySet()) {
                String name = tensor.getKey();
                int elements = Math.toIntExact(TensorSource.elements(tensor.getValue()));
                FloatBuffer expected = FloatBuffer.allocate(elements);
                FloatBuffer actual = FloatBuffer.allocate(elements);
                source.tensors().read(name, expected);
                copy.tensors().read(name, tensor.getValue(), actual);
                // by bits: a NaN equals itself, 0 is not -0
                if (!Arrays.equals(expected.array(), actual.array())) throw new WarpBertException("tensor " + name + " does not read back from " + written + " as it is in " + source.path());
            }
        }
    }
}
