package org.warpbert.format;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.warpbert.WarpBertException;
import org.warpbert.model.BertConfig;

/** Writes the Hugging Face folder layout, each file atomically. */
public final class ModelWriter {
    private ModelWriter() {}

    /**
     * Writes {@code model.safetensors}.
     *
     * @param shapes  canonical names and shapes, in the order in which they are written
     * @param tensors the elements for each canonical name, asked for in that order
     */
    public static void writeTensors(Path folder, Map<String, long[]> shapes, SafetensorsWriter.Tensors tensors) {
        boolean head = shapes.keySet().stream().anyMatch(name -> !TensorNames.isEncoder(name));
        Map<String, long[]> renamed = new LinkedHashMap<>();
        Map<String, String> canonical = new LinkedHashMap<>();
        shapes.forEach((name, shape) -> {
            String saved = TensorNames.toHuggingFace(name, head);
            renamed.put(saved, shape);
            canonical.put(saved, name);
        });
        SafetensorsWriter.write(folder.resolve(Safetensors.FILE), renamed, name -> tensors.get(canonical.get(name)));
    }

    /** Gets the share of a copy that is done. */
    @FunctionalInterface
    public interface Progress {
        void at(long doneBytes, long totalBytes);
    }

    /** Copies a model of any layout to a folder of Hugging Face's, with one tensor in memory at a time. */
    public static void copy(ModelFolder model, Path folder, Progress progress) {
        TensorSource source = model.tensors();
        long largest = 0;
        long total = 0;
        for (long[] shape : source.shapes().values()) {
            largest = Math.max(largest, TensorSource.elements(shape));
            total += TensorSource.elements(shape) * Float.BYTES;
        }
        if (largest > Integer.MAX_VALUE / Float.BYTES) throw new WarpBertException("A tensor of " + source.location() + " has " + largest + " elements, too many for one buffer.");
        FloatBuffer buffer = ByteBuffer.allocateDirect((int) largest * Float.BYTES).order(ByteOrder.nativeOrder()).asFloatBuffer();
        long[] done = {0};
        long all = total;
        TokenizerWriter.write(folder, model.vocabulary(), model.lowerCase(), model.addedTokens(), model.config().maxPositionEmbeddings());
        writeTensors(folder, source.shapes(), name -> {
            source.read(name, buffer.clear());
            progress.at(done[0] += (long) buffer.flip().remaining() * Float.BYTES, all);
            return buffer;
        });
        BertConfig config = model.config();
        boolean known = !config.use().equals(BertConfig.Use.NONE);
        (known ? config : config.withUse(new BertConfig.Use(architecture(source.shapes().keySet()), null, null))).write(folder.resolve("config.json"));
    }

    /** The class of transformers that has these tensors. */
    static String architecture(Set<String> names) {
        if (names.contains("cls.seq_relationship.weight")) return "BertForPreTraining";
        if (names.contains("cls.predictions.bias")) return "BertForMaskedLM";
        if (names.contains("qa_outputs.weight")) return "BertForQuestionAnswering";
        if (names.contains("classifier.weight"))
            return names.contains("pooler.dense.weight") ? "BertForSequenceClassification" : "BertForTokenClassification";
        return "BertModel";
    }
}
