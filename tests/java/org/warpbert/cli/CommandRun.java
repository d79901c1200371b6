package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** One command run in this process, as {@link Main#main} runs it, with its streams caught. */
record CommandRun(int code, String out, String err) {
    private static final ObjectMapper JSON = new ObjectMapper();

    static CommandRun of(String... args) {
        return withInput("", args);
    }

    static CommandRun withInput(String input, String... args) {
        return withInput(input.getBytes(StandardCharsets.UTF_8), args);
    }

    static CommandRun withInput(byte[] input, String... args) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int code = Main.run(args, new Terminal(new ByteArrayInputStream(input), out, new PrintStream(err, true, StandardCharsets.UTF_8), false));
        return new CommandRun(code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    }

    /** Succeeds if the command did. */
    CommandRun done() {
        assertEquals(0, code, () -> err);
        return this;
    }

    /** Succeeds if the command failed with exactly one line that holds all these. */
    void failedWith(String... parts) {
        assertEquals(1, code, () -> out + err);
        List<String> lines = err.lines().filter(line -> line.startsWith("warpbert: ")).toList();
        assertEquals(1, lines.size(), err);
        assertEquals(lines.get(0), err.lines().reduce((a, b) -> b).orElseThrow(), "the failure is the last line");
        assertTrue(err.lines().noneMatch(line -> line.startsWith("\tat ")), "no stack trace");
        assertEquals("", out, "no result");
        for (String part : parts) {
            assertTrue(lines.get(0).contains(part), () -> "'" + part + "' is not in: " + err);
        }
    }

    /** Succeeds if the command refused its arguments in words that hold all these. */
    void misusedWith(String... parts) {
        assertEquals(2, code, () -> out + err);
        assertEquals("", out, "no result");
        for (String part : parts) {
            assertTrue(err.contains(part), () -> "'" + part + "' is not in: " + err);
        }
    }

    /** The whole of standard output as one JSON value. */
    JsonNode json() throws IOException {
        return JSON.readTree(out);
    }

    /** The lines of standard output, each a JSON value. */
    List<JsonNode> jsonLines() throws IOException {
        try (var values = JSON.readerFor(JsonNode.class).<JsonNode>readValues(out)) {
            List<JsonNode> lines = values.readAll();
            assertEquals(out.lines().count(), lines.size(), "one value per line");
            return lines;
        }
    }
}
