package org.warpbert.format;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.warpbert.WarpBertException;

/** Opens safetensors: a single file, a sharded model by its index, or a folder that holds either. */
public final class Safetensors {
    /** Name of the weights in a Hugging Face folder. */
    public static final String FILE = "model.safetensors";
    /** Name of the list of shards in a Hugging Face folder. */
    public static final String INDEX = "model.safetensors.index.json";

    private Safetensors() {}

    /**
     * Opens the tensors at this path.
     *
     * @param path a {@code .safetensors} file, a {@code .safetensors.index.json}, or a folder with one of them
     * @throws WarpBertException what is wrong with the file, checked in full before any tensor is read
     */
    public static TensorSource open(Path path) {
        if (Files.isDirectory(path)) {
            Path index = path.resolve(INDEX);
            return open(Files.exists(index) && !Files.exists(path.resolve(FILE)) ? index : path.resolve(FILE));
        }
        return path.getFileName().toString().endsWith(".json") ? Sharded.open(path) : new SafetensorsFile(path);
    }

    /** Several files as one; the index says which holds a tensor. */
    private record Sharded(Path index, Map<String, TensorSource> shards, Map<String, TensorSource> holders, Map<String, long[]> shapes) implements TensorSource {

        static TensorSource open(Path index) {
            Sharded source = new Sharded(index, new LinkedHashMap<>(), new LinkedHashMap<>(), new LinkedHashMap<>());
            try {
                JsonNode map = new ObjectMapper().readTree(Files.readAllBytes(index)).path("weight_map");
                if (!map.isObject()) throw new WarpBertException("Cannot read " + index + ": it has no weight_map.");
                map.properties().forEach(entry -> source.add(entry.getKey(), entry.getValue().asText()));
                return source;
            } catch (IOException e) {
                source.close();
                throw new WarpBertException("Cannot read " + index + ": " + AtomicFile.reason(e) + ".", e);
            } catch (RuntimeException e) {
                source.close();
                throw e;
            }
        }

        private void add(String tensor, String shard) {
            // a shard is a neighbour of its index: no path out of the folder
            if (!shard.matches("[\\w.-]+\\.safetensors"))
                throw new WarpBertException("Cannot read " + index + ": tensor " + tensor + " is said to be in '" + shard + "', which is no .safetensors file of this folder.");
            TensorSource holder = shards.computeIfAbsent(shard, name -> new SafetensorsFile(index.resolveSibling(name)));
            long[] shape = holder.shapes().get(tensor);
            if (shape == null) {
                if (((SafetensorsFile) holder).hasInteger(tensor)) return;
                throw new WarpBertException("There is no tensor " + tensor + " in " + holder.location() + ", though " + index.getFileName() + " says so.");
            }
            holders.put(tensor, holder);
            shapes.put(tensor, shape);
        }

        @Override
        public Map<String, long[]> shapes() {
            return Collections.unmodifiableMap(shapes);
        }

        @Override
        public void read(String name, FloatBuffer dst) {
            shape(name); // or its error
            holders.get(name).read(name, dst);
        }

        @Override
        public String location() {
            return index.toString();
        }

        @Override
        public void close() {
            shards.values().forEach(TensorSource::close);
        }
    }
}
