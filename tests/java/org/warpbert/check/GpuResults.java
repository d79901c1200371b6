package org.warpbert.check;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/** What benchmarks/run-gpu.sh left in a folder: contests, benches, and the attention of others. Those of GPUs alone; simt's count nothing. */
final class GpuResults {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String PREFIX = "gpu-";

    private final Map<String, JsonNode> files = new TreeMap<>(); // name without gpu- and .json

    /** @param folder which may be missing */
    static GpuResults read(Path folder) throws IOException {
        GpuResults results = new GpuResults();
        if (Files.isDirectory(folder)) {
            try (Stream<Path> files = Files.list(folder)) {
                for (Path file : files.filter(f -> f.getFileName().toString().matches("gpu-(?!check).*\\.json")).toList()) {
                    JsonNode json = JSON.readTree(file.toFile());
                    if (!json.has("machine") || json.at("/machine/device").asText().equals("cuda")) {
                        results.files.put(file.getFileName().toString().substring(PREFIX.length()).replaceFirst("\\.json$", ""), json);
                    }
                }
            }
        }
        return results;
    }

    boolean none() {
        return files.isEmpty();
    }

    /** Contests by name. */
    Map<String, JsonNode> contests() {
        Map<String, JsonNode> contests = new TreeMap<>(files);
        contests.values().removeIf(json -> !json.has("ratios"));
        return contests;
    }

    Optional<JsonNode> file(String name) {
        return Optional.ofNullable(files.get(name));
    }

    /** A ratio of a contest. */
    Optional<JsonNode> ratio(String contest, String against) {
        return file(contest).flatMap(json -> named(json.get("ratios"), "against", against));
    }

    /** WarpBERT's own entry in a contest. */
    Optional<JsonNode> own(String contest) {
        return file(contest).map(json -> json.at("/engines/0"));
    }

    /** A figure of {@code bench ops} at these lengths. */
    Optional<JsonNode> op(String lengths, String name) {
        return file("bench-ops-" + lengths).flatMap(json -> named(json.get("figures"), "name", name));
    }

    /** TFLOP/s of each pass and of both together. */
    record AttentionTflops(double forward, double backward, double both) {}

    /** Of our own, at sequences so long, without dropout. */
    Optional<AttentionTflops> attentionTflops(String length) {
        return op(length, "attention_forward without dropout").flatMap(forward -> op(length, "attention_backward without dropout").map(backward -> {
            double there = forward.at("/rates/flop").asDouble() * 1e-12;
            double back = backward.at("/rates/flop").asDouble() * 1e-12;
            double seconds = forward.get("median").asDouble() + backward.get("median").asDouble();
            return new AttentionTflops(there / forward.get("median").asDouble(), back / backward.get("median").asDouble(), (there + back) / seconds);
        }));
    }

    private static Optional<JsonNode> named(JsonNode list, String field, String value) {
        return StreamSupport.stream(list.spliterator(), false).filter(entry -> entry.get(field).asText().equals(value)).findFirst();
    }
}
