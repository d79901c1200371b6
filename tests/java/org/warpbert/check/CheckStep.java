package org.warpbert.check;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Precision;
import org.warpbert.bench.Benchmark;
import org.warpbert.bench.Machine;
import org.warpbert.bench.Report;
import org.warpbert.cli.Version;
import org.warpbert.train.RunFolder;

/** One step of a check, in this process: writes what it found to a file. */
final class CheckStep {
    private final String device;
    private final boolean gpu;
    private final Path model;
    private final Path train;

    private CheckStep(String device, Path model, Path train) {
        this.device = device;
        this.gpu = device.equals("cuda");
        this.model = model;
        this.train = train;
    }

    /** @param args the file, the device, a model and its training set ("null": none), and the step's name */
    public static void main(String[] args) throws Exception {
        Found found;
        try {
            found = new CheckStep(args[1], Path.of(args[2]), Path.of(args[3])).run(args[4].split(" "));
        } catch (Exception | AssertionError | LinkageError e) {
            e.printStackTrace();
            found = Found.failed(String.valueOf(e.getMessage()).lines().findFirst().orElse(e.toString()), Map.of());
        }
        Files.write(Path.of(args[0]), RunFolder.JSON.writeValueAsBytes(found));
        System.exit(0); // whatever threads a library has left
    }

    private Found run(String... words) throws Exception {
        return switch (words[0]) {
            case Plan.DEVICE -> device();
            case "parity" -> ParityCheck.run(words[1], device);
            case "training" -> training(words[1], precision(words[2]));
            case "determinism" -> TrainingCheck.small(device).determinism(precision(words[1]));
            case "memory" -> TrainingCheck.small(device).leak(precision(words[1]), gpu ? 1000 : 20);
            case "budget" -> BudgetCheck.check(device, words[1], Integer.parseInt(words[2]));
            case "recovery" -> ParityCheck.run(Plan.RECOVERY, device);
            case "graphs" -> GraphCheck.check(device, precision(words[1]));
            case "step-graphs" -> StepGraphCheck.check(device, precision(words[1]));
            case "cudnn" -> CudnnReference.check(device);
            case "bench" -> bench(Report.Kind.valueOf(words[1].toUpperCase(Locale.ROOT)), words[2]);
            default -> throw new IllegalArgumentException("no step " + String.join(" ", words));
        };
    }

    private static Precision precision(String name) {
        return Precision.valueOf(name.toUpperCase(Locale.ROOT));
    }

    private Found device() throws IOException {
        try (Backend backend = Backends.open(device, 0)) {
            Machine machine = Machine.of(backend, CheckStep.class);
            Map<String, Object> about = new LinkedHashMap<>();
            about.put("machine", machine);
            about.put("version", new Version().getVersion()[0]);
            about.put("device_bytes", backend.totalBytes());
            about.put("device_free_bytes", backend.freeBytes());
            return Found.passed(machine.description(), about);
        }
    }

    /** float32 beside the CPU's; 16 bits beside the device's own float32, within 1% of the smoothed loss. */
    private Found training(String name, Precision precision) throws Exception {
        TrainingCheck check = switch (name) {
            case "small" -> TrainingCheck.small(device);
            case "bert-base" -> TrainingCheck.bertBase(device);
            default -> TrainingCheck.own(device, model, train);
        };
        return precision == Precision.F32 ? check.besideCpu() : check.besideFloat32(precision);
    }

    private Found bench(Report.Kind what, String lengths) {
        Report.Settings settings = new Report.Settings(what, gpu ? "random:bert-base" : "random:bert-tiny", lengths, "packed", device, 0,
                gpu ? Precision.BF16 : Precision.F32, gpu ? 32 : 1, 2, gpu ? 9 : 1, null);
        Report report = Benchmark.run(settings);
        Report.Figure figure = report.figures().get(report.figures().size() - 1);
        String detail = what == Report.Kind.OPS ? report.figures().size() + " ops timed"
                : String.format(Locale.ROOT, "%.3f ms, %,.0f real tokens/s, %.1f%% of the measured matrix products", 1e3 * figure.timing().median(),
                        figure.rates().get("real_tokens_per_second"), 100 * figure.rates().get("share_of_gemm"));
        return Found.passed(detail, Map.of("report", report));
    }
}
