package org.warpbert.format;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.warpbert.WarpBertException;

/** Writes float32 safetensors, atomically, in the order of the shapes, one tensor at a time. */
public final class SafetensorsWriter {
    private static final int CHUNK = 1 << 20; // bytes copied at a time

    private SafetensorsWriter() {}

    /** Gives each tensor when its turn comes; the buffer may be a view of the caller's, or one it fills again each time. */
    @FunctionalInterface
    public interface Tensors {
        /** The elements of this tensor, row-major, between position and limit (neither is moved). */
        FloatBuffer get(String name);
    }

    /**
     * Writes a file that transformers and any safetensors reader opens. Nothing is left behind on failure.
     *
     * @param shapes  names and shapes, in the order in which they are written
     * @param tensors called once for each name in that order
     */
    public static void write(Path file, Map<String, long[]> shapes, Tensors tensors) {
        byte[] header = header(file, shapes);
        AtomicFile.write(file, channel -> {
            ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK).order(ByteOrder.LITTLE_ENDIAN);
            chunk.putLong(header.length).flip();
            AtomicFile.writeFully(channel, chunk);
            AtomicFile.writeFully(channel, ByteBuffer.wrap(header));
            for (Map.Entry<String, long[]> entry : shapes.entrySet()) {
                FloatBuffer values = tensors.get(entry.getKey()).duplicate();
                if (values.remaining() != TensorSource.elements(entry.getValue()))
                    throw new WarpBertException("Tensor " + entry.getKey() + " of shape " + Arrays.toString(entry.getValue())
                            + " cannot be written to " + file + " from a buffer of " + values.remaining() + " elements.");
                writeFloats(channel, values, chunk);
            }
        });
    }

    private static void writeFloats(FileChannel channel, FloatBuffer values, ByteBuffer chunk) throws IOException {
        int end = values.limit();
        while (values.position() < end) {
            values.limit(Math.min(end, values.position() + CHUNK / Float.BYTES));
            int bytes = values.remaining() * Float.BYTES;
            chunk.clear().asFloatBuffer().put(values);
            AtomicFile.writeFully(channel, chunk.limit(bytes));
        }
    }

    private static byte[] header(Path file, Map<String, long[]> shapes) {
        ObjectMapper mapper = new ObjectMapper();
        ObjectNode json = mapper.createObjectNode();
        json.putObject("__metadata__").put("format", "pt");
        long offset = 0;
        for (Map.Entry<String, long[]> entry : shapes.entrySet()) {
            ObjectNode tensor = json.putObject(entry.getKey()).put("dtype", "F32");
            ArrayNode dimensions = tensor.putArray("shape");
            for (long size : entry.getValue()) dimensions.add(size);
            tensor.putArray("data_offsets").add(offset).add(offset += TensorSource.elements(entry.getValue()) * Float.BYTES);
        }
        try {
            String text = mapper.writeValueAsString(json);
            int bytes = text.getBytes(StandardCharsets.UTF_8).length;
            return (text + " ".repeat(-bytes & 7)).getBytes(StandardCharsets.UTF_8); // the data starts on a multiple of 8
        } catch (JsonProcessingException e) {
            throw new WarpBertException("Cannot write " + file + ": " + e.getOriginalMessage() + ".", e);
        }
    }
}
