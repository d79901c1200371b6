package org.warpbert.bench;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import com.fasterxml.jackson.core.JsonProcessingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.warpbert.backend.Precision;
import org.warpbert.format.AtomicFile;
import org.warpbert.train.RunFolder;

/**
 * One measurement, as its JSON holds it (snake case).
 *
 * @param clock       what timed ops, copies and products: the host's clock, or the device's with its caches cleared before each run
 * @param gemmGflops  the machine's measured matrix-product rate, in the same run; of training on a host, between its steps
 * @param copyGbPerSecond its measured copy bandwidth, read and written, beyond all caches
 * @param flopFormula how model FLOPs are counted
 * @param peakResidentBytes the most of the machine's memory that this process has had, everything counted
 */
public record Report(Settings settings, Machine machine, String clock, double gemmGflops, double copyGbPerSecond, Work work,
                     String flopFormula, List<Figure> figures, long peakResidentBytes) {

    /**
     * What was asked for; running it again measures the same.
     *
     * @param peakTflops the device's published peak, which utilisation is counted against; null: the measured rate
     */
    public record Settings(Kind what, String model, String lengths, String layout, String device, int threads, Precision precision, int batchSize,
                           int warmup, int repeats, @JsonInclude(JsonInclude.Include.NON_NULL) Double peakTflops) {
        public Settings {
            precision = precision == null ? Precision.AUTO : precision;
        }

        boolean padded() {
            return layout.equals("padded");
        }
    }

    /** What is measured. */
    public enum Kind {
        OPS, TRAIN, INFER
    }

    /**
     * One thing's time and what follows from it.
     *
     * @param what  of this thing: shape, or what it includes
     * @param rates name to value; shares are of 1
     */
    public record Figure(@JsonUnwrapped Timing timing, String what, Map<String, Double> rates) {}

    /** Writes the JSON, whole or not at all. */
    public void write(Path file) {
        try {
            AtomicFile.write(file, (RunFolder.JSON.writerWithDefaultPrettyPrinter().writeValueAsString(this) + "\n").getBytes(StandardCharsets.UTF_8));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("no JSON can be made of a report", e);
        }
    }
}
