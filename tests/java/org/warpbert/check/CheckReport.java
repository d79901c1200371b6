package org.warpbert.check;

import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.warpbert.format.AtomicFile;
import org.warpbert.train.RunFolder;

/** What a check of a device found: a line for each step as it ends, and all of it as one JSON and one log. */
final class CheckReport {
    enum Outcome { PASSED, FAILED, SKIPPED }

    /**
     * One step.
     *
     * @param detail  what was found, one line; of a failure, what is wrong
     * @param figures what was measured, by name
     */
    record Step(String name, Outcome outcome, String detail, double seconds, Map<String, Object> figures) {}

    /** What a step has to say; a failure is thrown. */
    record Found(Outcome outcome, String detail, Map<String, Object> figures) {
        static Found passed(String detail, Map<String, Object> figures) {
            return new Found(Outcome.PASSED, detail, figures);
        }

        static Found skipped(String reason) {
            return new Found(Outcome.SKIPPED, reason, Map.of());
        }
    }

    interface Work {
        Found run() throws Exception;
    }

    private final Map<String, Object> about = new LinkedHashMap<>();
    private final List<Step> steps = new ArrayList<>();
    private final StringBuilder log = new StringBuilder();
    private final PrintWriter out;

    /** @param out where lines go as they come */
    CheckReport(PrintWriter out) {
        this.out = out;
    }

    /** What the check is of: device, driver, versions. */
    void about(String name, Object value) {
        about.put(name, value);
        line(name + ": " + value);
    }

    void line(String text) {
        log.append(text).append('\n');
        out.println(text);
        out.flush();
    }

    /** Runs a step; whatever it throws is its failure, and the next one runs all the same. */
    void step(String name, Work work) {
        long start = System.nanoTime();
        Found found;
        try {
            found = work.run();
        } catch (Throwable e) { // an AssertionError of a test as well as a device that is lost
            StringWriter trace = new StringWriter();
            e.printStackTrace(new PrintWriter(trace));
            log.append(trace);
            found = new Found(Outcome.FAILED, String.valueOf(e.getMessage()).lines().findFirst().orElse(e.toString()), Map.of());
        }
        Step step = new Step(name, found.outcome, found.detail, (System.nanoTime() - start) / 1e9, found.figures);
        steps.add(step);
        line(String.format(Locale.ROOT, "%-8s %-28s %6.1f s  %s", step.outcome.name().toLowerCase(Locale.ROOT), name, step.seconds, step.detail));
    }

    /** Whether no step failed. */
    boolean passed() {
        return steps.stream().noneMatch(step -> step.outcome == Outcome.FAILED);
    }

    /** Writes gpu-check.json and gpu-check.log. */
    void write(Path folder) throws java.io.IOException {
        Map<String, Object> all = new LinkedHashMap<>(about);
        all.put("passed", passed());
        all.put("steps", steps);
        AtomicFile.write(folder.resolve("gpu-check.json"), RunFolder.JSON.writer(SerializationFeature.INDENT_OUTPUT).writeValueAsBytes(all));
        AtomicFile.write(folder.resolve("gpu-check.log"), log.toString().getBytes(StandardCharsets.UTF_8));
    }
}
