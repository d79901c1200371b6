package org.warpbert.format;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.warpbert.WarpBertException;

/**
 * One safetensors file: an 8-byte little-endian header length, a JSON header of dtype, shape and data_offsets by
 * tensor, then the data without holes. The whole header is checked when the file is opened. Tensors of integers
 * (position ids and the like) are checked too, but not offered.
 */
final class SafetensorsFile implements TensorSource {
    private static final int MAX_HEADER = 100_000_000; // the format's own limit
    private static final Map<String, Integer> INTEGER_SIZES = Map.ofEntries(Map.entry("I64", 8), Map.entry("U64", 8), Map.entry("I32", 4), Map.entry("U32", 4),
            Map.entry("I16", 2), Map.entry("U16", 2), Map.entry("I8", 1), Map.entry("U8", 1), Map.entry("BOOL", 1), Map.entry("F8_E4M3", 1), Map.entry("F8_E5M2", 1));
    private static final ObjectMapper JSON = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();

    private record Entry(DType type, long[] shape, long offset) {}

    private record Region(String name, long begin, long end) {}

    private final DataFile file;
    private final Map<String, Entry> entries = new LinkedHashMap<>();
    private final Map<String, long[]> shapes = new LinkedHashMap<>();
    private final Set<String> integers = new HashSet<>();

    SafetensorsFile(Path path) {
        file = new DataFile(path);
        try {
            readHeader();
        } catch (RuntimeException e) {
            file.close();
            throw e;
        }
    }

    private void readHeader() {
        if (file.size < 8) throw damaged("it has " + file.size + " bytes, too few for a safetensors file");
        long length = file.map(0, 8).getLong();
        if (length < 2 || length > MAX_HEADER) throw damaged("its header would have " + Long.toUnsignedString(length) + " bytes; it is no safetensors file, or damaged");
        if (length > file.size - 8) throw damaged("it is truncated: the header has " + length + " bytes, but the file only " + file.size);
        byte[] header = new byte[(int) length];
        file.map(8, header.length).get(header);
        JsonNode json;
        try {
            json = header[0] == '{' ? JSON.readTree(header, 0, header.length) : null; // the format demands '{' first
        } catch (JsonProcessingException e) {
            throw new WarpBertException("Cannot read " + file.path + ": its header is not valid JSON (" + AtomicFile.malformed(e) + ").", e);
        } catch (IOException e) {
            throw new WarpBertException("Cannot read " + file.path + ": its header is not valid UTF-8 JSON (" + e.getMessage() + ").", e);
        }
        if (json == null || !json.isObject()) throw damaged("its header is not a JSON object");
        long data = 8 + length;
        List<Region> regions = new ArrayList<>();
        json.properties().forEach(field -> {
            if (!field.getKey().equals("__metadata__")) regions.add(entry(field.getKey(), field.getValue(), data));
        });
        checkCovered(regions, data);
    }

    private Region entry(String name, JsonNode json, long data) {
        String dtype = json.path("dtype").asText();
        DType type = null;
        for (DType known : DType.values()) if (known.name().equals(dtype)) type = known;
        Integer size = type != null ? Integer.valueOf(type.size) : INTEGER_SIZES.get(dtype);
        if (size == null) throw damaged("tensor " + name + " has the unknown dtype '" + dtype + "'");
        long[] shape = longs(name, "shape", json.path("shape"));
        long[] offsets = longs(name, "data_offsets", json.path("data_offsets"));
        if (offsets.length != 2 || offsets[0] > offsets[1]) throw damaged("tensor " + name + " has data_offsets " + json.path("data_offsets"));
        long bytes;
        try {
            bytes = Math.multiplyExact(TensorSource.elements(shape), (long) size);
        } catch (ArithmeticException e) {
            throw damaged("tensor " + name + " has the impossible shape " + json.path("shape"));
        }
        if (offsets[1] - offsets[0] != bytes)
            throw damaged("tensor " + name + " of shape " + json.path("shape") + " and dtype " + dtype + " needs " + bytes + " bytes, but its data_offsets span " + (offsets[1] - offsets[0]));
        if (type != null) {
            entries.put(name, new Entry(type, shape, data + offsets[0]));
            shapes.put(name, shape);
        } else {
            integers.add(name);
        }
        return new Region(name, offsets[0], offsets[1]);
    }

    private long[] longs(String name, String field, JsonNode array) {
        if (!array.isArray()) throw damaged("tensor " + name + " has no array '" + field + "'");
        long[] values = new long[array.size()];
        for (int i = 0; i < values.length; i++) {
            JsonNode value = array.get(i);
            if (!value.isIntegralNumber() || !value.canConvertToLong() || value.longValue() < 0)
                throw damaged("tensor " + name + " has " + field + " " + array + "; they must be natural numbers");
            values[i] = value.longValue();
        }
        return values;
    }

    /** The tensors must fill the data exactly: no overlap, no hole, nothing after them, nothing cut off. */
    private void checkCovered(List<Region> regions, long data) {
        regions.sort(Comparator.comparingLong(Region::begin).thenComparingLong(Region::end));
        Region last = new Region("the header", 0, 0);
        for (Region region : regions) {
            if (region.begin < last.end) throw damaged("tensors " + last.name + " and " + region.name + " overlap at data byte " + region.begin);
            if (region.begin > last.end) throw damaged("there is a hole of " + (region.begin - last.end) + " bytes before tensor " + region.name);
            last = region;
        }
        long present = file.size - data;
        if (last.end > present)
            throw damaged("it is truncated: tensor " + last.name + " ends at data byte " + last.end + ", but the file holds only " + present + " (download or copy it again)");
        if (last.end < present) throw damaged((present - last.end) + " bytes stand after the last tensor, " + last.name);
    }

    private WarpBertException damaged(String what) {
        return new WarpBertException("Cannot read " + file.path + ": " + what + ".");
    }

    /** Whether the file has a tensor of this name that is not one of floats. */
    boolean hasInteger(String name) {
        return integers.contains(name);
    }

    @Override
    public Map<String, long[]> shapes() {
        return Collections.unmodifiableMap(shapes);
    }

    @Override
    public void read(String name, FloatBuffer dst) {
        long elements = TensorSource.elements(shape(name));
        Entry entry = entries.get(name);
        file.read(name, entry.offset, entry.type, elements, dst);
    }

    @Override
    public String location() {
        return file.path.toString();
    }

    @Override
    public void close() {
        file.close();
    }
}
