package org.warpbert.bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.warpbert.WarpBertException;
import org.warpbert.format.AtomicFile;
import org.warpbert.train.RunFolder;

/**
 * A recorded report, as a bar for a new one. A time may be longer by the noise band: {@value #SPREADS} times the spread
 * that the recorded figure had, at least {@value #LEAST_BAND}.
 */
public final class Comparison {
    /** Band = this many recorded spreads, (third quartile - first) / median. */
    public static final double SPREADS = 3;
    /** What any band is at least: less is not told apart on a machine that does other things too. */
    public static final double LEAST_BAND = 0.05;

    /** How a figure stands beside its record. */
    public enum Verdict {
        WITHIN, FASTER, SLOWER, MISSING
    }

    /**
     * One recorded figure beside today's.
     *
     * @param was   median seconds recorded
     * @param is    median seconds now; NaN where it was not measured
     * @param ratio is / was
     * @param band  share by which the ratio may differ from 1
     */
    public record Line(String name, double was, double is, double ratio, double band, Verdict verdict) {}

    private final Path file;
    private final JsonNode recorded;

    private Comparison(Path file, JsonNode recorded) {
        this.file = file;
        this.recorded = recorded;
    }

    /** Reads a report's file. */
    public static Comparison read(Path file) {
        try {
            JsonNode json = RunFolder.JSON.readTree(Files.readAllBytes(file));
            if (json == null || !json.path("settings").isObject() || !json.path("machine").isObject() || !json.path("figures").isArray()) {
                throw new WarpBertException(file + " is no report of warpbert bench: it lacks settings, machine or figures");
            }
            return new Comparison(file, json);
        } catch (JsonProcessingException e) {
            throw new WarpBertException("Cannot read " + file + ": it is not valid JSON (" + e.getOriginalMessage() + ").", e);
        } catch (IOException e) {
            throw new WarpBertException("Cannot read " + file + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    /** What the record was measured with. */
    public Report.Settings settings() {
        try {
            return RunFolder.JSON.treeToValue(recorded.get("settings"), Report.Settings.class);
        } catch (JsonProcessingException e) {
            throw new WarpBertException(file + " has settings that this version does not know: " + e.getOriginalMessage(), e);
        }
    }

    /**
     * Refuses what cannot be compared: figures of another device, processor or number of threads, or of other work.
     *
     * @param now settings and machine of the new measurement, known before it
     */
    public void requireComparable(Report.Settings now, Machine machine) {
        JsonNode was = recorded.get("machine");
        same("device", was.path("device").asText(), machine.device());
        same("processor", was.path("cpu").asText(), machine.cpu());
        same("description", was.path("description").asText(), machine.description());
        same("thread count", was.path("threads").asText(), "" + machine.threads());
        Report.Settings then = settings();
        same("measurement", "" + then.what(), "" + now.what());
        same("--model", then.model(), now.model());
        same("--lengths", then.lengths(), now.lengths());
        same("--precision", then.precision().toString(), now.precision().toString());
        same("--layout", then.layout(), now.layout());
        same("--batch-size", "" + then.batchSize(), "" + now.batchSize());
    }

    private void same(String what, String was, String is) {
        if (!was.equals(is)) {
            throw new WarpBertException(file + " was measured with another " + what + " ('" + was + "', here '" + is
                    + "'): its figures say nothing about this");
        }
    }

    /** Judges every recorded figure. */
    public List<Line> judge(List<Report.Figure> figures) {
        List<Line> lines = new ArrayList<>();
        for (JsonNode figure : recorded.get("figures")) {
            String name = figure.path("name").asText();
            double was = figure.path("median").asDouble(Double.NaN);
            double spread = figure.path("spread").asDouble(Double.NaN);
            if (!(was > 0) || !(spread >= 0)) {
                throw new WarpBertException(file + ": the figure '" + name + "' has no median and spread");
            }
            double is = figures.stream().filter(f -> f.timing().name().equals(name)).mapToDouble(f -> f.timing().median()).findFirst().orElse(Double.NaN);
            double band = Math.max(LEAST_BAND, SPREADS * spread);
            double ratio = is / was;
            Verdict verdict = Double.isNaN(is) ? Verdict.MISSING : ratio > 1 + band ? Verdict.SLOWER : ratio < 1 / (1 + band) ? Verdict.FASTER : Verdict.WITHIN;
            lines.add(new Line(name, was, is, ratio, band, verdict));
        }
        if (lines.isEmpty()) {
            throw new WarpBertException(file + " holds no figures: nothing would be compared");
        }
        return lines;
    }
}
