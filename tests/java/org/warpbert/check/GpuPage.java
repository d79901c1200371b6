package org.warpbert.check;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.warpbert.format.AtomicFile;

/**
 * Writes the results' part of docs/gpu.md from the gpu-check*.json of a folder: no result on the page was typed. From the
 * heading {@value #HAND_WRITTEN} on the page stays as it is.
 */
public final class GpuPage {
    static final String HAND_WRITTEN = "## What the stand-ins cannot show";
    static final String NOT_RUN = "not yet run";

    private static final ObjectMapper JSON = new ObjectMapper();

    private final StringBuilder page = new StringBuilder();

    private GpuPage() {}

    /** @param args the folder of results, which may be missing, and the page */
    public static void main(String[] args) throws IOException {
        Path page = Path.of(args[1]);
        String before = Files.exists(page) ? Files.readString(page) : "";
        int kept = before.indexOf(HAND_WRITTEN);
        String made = results(Path.of(args[0])) + (kept < 0 ? "" : "\n" + before.substring(kept));
        AtomicFile.write(page, made.getBytes(StandardCharsets.UTF_8));
    }

    /** The page down to its hand-written part. */
    static String results(Path folder) throws IOException {
        GpuPage page = new GpuPage();
        page.line("# On a GPU");
        page.line("");
        page.line("Written by `org.warpbert.check.GpuPage` (see benchmarks/README.md) from `benchmarks/results/gpu-check*.json`, which "
                + "`warpbert gpu-check` writes on a machine with a GPU; down to \"" + HAND_WRITTEN.substring(3) + "\" not edited by hand.");
        List<JsonNode> reports = reports(folder);
        for (JsonNode report : reports) {
            page.report(report);
        }
        if (reports.isEmpty()) {
            page.line("");
            page.line("No report of a GPU is there: nothing below has been run on one.");
            page.table(Map.of());
        }
        return page.page.toString();
    }

    /** Of GPUs alone: simt's are for those who change the check. */
    private static List<JsonNode> reports(Path folder) throws IOException {
        List<JsonNode> reports = new ArrayList<>();
        if (Files.isDirectory(folder)) {
            try (Stream<Path> files = Files.list(folder)) {
                for (Path file : files.filter(f -> f.getFileName().toString().matches("gpu-check.*\\.json")).sorted().toList()) {
                    JsonNode report = JSON.readTree(file.toFile());
                    if (report.at("/machine/device").asText().equals("cuda")) {
                        reports.add(report);
                    }
                }
            }
        }
        return reports;
    }

    private void report(JsonNode report) {
        JsonNode machine = report.get("machine");
        line("");
        line("## " + machine.path("description").asText());
        line("");
        line(report.path("date").asText() + ", commit " + machine.path("commit").asText("unknown") + ", driver " + machine.path("driver").asText("unknown")
                + "; " + machine.path("cpu").asText() + ", " + machine.path("cores").asInt() + " cores, Java " + machine.path("java").asText() + ". **"
                + (report.path("passed").asBoolean() ? "No step failed." : "Steps failed.") + "**");
        Map<String, JsonNode> steps = new LinkedHashMap<>();
        report.path("steps").forEach(step -> steps.put(step.get("name").asText(), step));
        table(steps);
    }

    /** All steps that there are, those of a report that are no longer planned as well. */
    private void table(Map<String, JsonNode> steps) {
        line("");
        line("| step | result | found |");
        line("|---|---|---|");
        List<String> names = new ArrayList<>(Plan.of("cuda", true).stream().map(Plan.Step::name).toList());
        steps.keySet().stream().filter(name -> !names.contains(name)).forEach(names::add);
        for (String name : names) {
            JsonNode step = steps.get(name);
            line("| " + name + " | " + (step == null ? NOT_RUN + " | |" : result(step.get("outcome").asText()) + " | " + step.get("detail").asText().replace("|", "\\|") + " |"));
        }
    }

    private static String result(String outcome) {
        return switch (outcome) {
            case "PASSED" -> "passed";
            case "FAILED" -> "**failed**";
            default -> NOT_RUN; // skipped: the reason stands beside it
        };
    }

    private void line(String text) {
        page.append(text).append('\n');
    }
}
