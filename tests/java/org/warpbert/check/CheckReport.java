package org.warpbert.check;

import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.warpbert.format.AtomicFile;
import org.warpbert.train.RunFolder;

/** What a check of a device found so far: a line for each step as it ends, and all of it as one JSON and one log. */
final class CheckReport {
    /** One step, as the JSON holds it. */
    record Step(String name, Found.Outcome outcome, String detail, double seconds, Map<String, Object> figures) {}

    private final Path json;
    private final Path logFile;
    private final PrintWriter out;
    private final Map<String, Object> about = new LinkedHashMap<>();
    private final List<Step> steps = new ArrayList<>();
    private final StringBuilder log = new StringBuilder();

    /**
     * @param folder where gpu-check.json and gpu-check.log go
     * @param out    where lines go as they come
     */
    CheckReport(Path folder, PrintWriter out) {
        this.json = folder.resolve("gpu-check.json");
        this.logFile = folder.resolve("gpu-check.log");
        this.out = out;
    }

    /** What the check is of: device, driver, versions. */
    void about(Map<String, Object> what) {
        about.putAll(what);
    }

    /** For the log alone. */
    void log(String text) {
        log.append(text);
    }

    void line(String text) {
        log.append(text).append('\n');
        out.println(text);
        out.flush();
    }

    /** A step has ended; the files hold it from now on. */
    void add(String name, Found found, double seconds) {
        steps.add(new Step(name, found.outcome(), found.detail(), seconds, found.figures()));
        line(String.format(Locale.ROOT, "%-8s %-28s %6.1f s  %s", found.outcome().name().toLowerCase(Locale.ROOT), name, seconds, found.detail()));
        write();
    }

    long count(Found.Outcome outcome) {
        return steps.stream().filter(step -> step.outcome == outcome).count();
    }

    /** Whether no step failed and one passed. */
    boolean passed() {
        return count(Found.Outcome.FAILED) == 0 && count(Found.Outcome.PASSED) > 0;
    }

    /** Writes both files, each whole or not at all. */
    void write() {
        Map<String, Object> all = new LinkedHashMap<>(about);
        all.put("passed", passed());
        all.put("steps", steps);
        try {
            AtomicFile.write(json, RunFolder.JSON.writer(SerializationFeature.INDENT_OUTPUT).writeValueAsBytes(all));
        } catch (com.fasterxml.jackson.core.JsonProcessingException e) {
            throw new IllegalStateException("no JSON can be made of a report", e);
        }
        AtomicFile.write(logFile, log.toString().getBytes(StandardCharsets.UTF_8));
    }
}
