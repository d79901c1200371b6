package org.warpbert.backend;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What {@code native/include/warpbert.h} declares: the list of functions, and each one's parameters. */
final class OpHeader {
    /** Functions of the table that compute nothing. */
    private static final Set<String> HOST = Set.of("create", "destroy", "describe", "memory_info", "alloc", "free",
            "alloc_host", "free_host", "upload", "download", "copy", "zero", "synchronize", "download_async", "event_create", "event_destroy",
            "event_record", "event_wait", "event_elapsed", "stream", "parallel", "host_call", "capture_begin", "capture_end", "graph_launch", "graph_destroy");
    private static final String TEXT = read().replaceAll("(?s)/\\*.*?\\*/", " ");
    private static final Map<String, List<Parameter>> PARSED = new ConcurrentHashMap<>();

    private OpHeader() {}

    /** One parameter, such as {@code const float*} {@code gamma}. */
    record Parameter(String type, String name) {
        boolean pointer() {
            return type.endsWith("*");
        }

        /** A pointer whose target the op does not write. */
        boolean constant() {
            return type.startsWith("const ");
        }

        /** Whether two pointers could be given the same buffer without a cast. */
        boolean couldAlias(Parameter other) {
            String mine = type.replace("const ", "");
            String theirs = other.type.replace("const ", "");
            return mine.equals(theirs) || mine.equals("void*") && theirs.equals("float*") || mine.equals("float*") && theirs.equals("void*");
        }
    }

    /** Every op of WB_FUNCTIONS that computes, in the header's order. */
    static List<String> ops() {
        Matcher list = Pattern.compile("#define WB_FUNCTIONS\\(F\\)((?:.*\\\\\\n)*.*)").matcher(TEXT);
        if (!list.find()) {
            throw new IllegalStateException("warpbert.h has no WB_FUNCTIONS");
        }
        return Pattern.compile("F\\((\\w+)\\)").matcher(list.group(1)).results().map(r -> r.group(1))
                .filter(name -> !HOST.contains(name)).toList();
    }

    /** An op's parameters after the context. */
    static List<Parameter> parameters(String op) {
        return PARSED.computeIfAbsent(op, name -> {
            Matcher declaration = Pattern.compile("wb_status wb_" + name + "\\(([^)]*)\\);").matcher(TEXT);
            if (!declaration.find()) {
                throw new IllegalStateException("warpbert.h declares no wb_" + name);
            }
            return Arrays.stream(declaration.group(1).split(",")).skip(1).map(String::strip).map(text -> {
                int end = Math.max(text.lastIndexOf(' '), text.lastIndexOf('*') + 1);
                return new Parameter(text.substring(0, end).strip().replaceAll("\\s+", " "), text.substring(end).strip());
            }).toList();
        });
    }

    private static String read() {
        try (InputStream header = OpHeader.class.getResourceAsStream("warpbert.h")) {
            return new String(header.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
