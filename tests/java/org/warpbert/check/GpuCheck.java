package org.warpbert.check;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * All that is to be known of a GPU, in one command: every op beside the CPU, training steps in each precision, the same bits
 * twice, memory that stays flat, cuDNN as a reference of another house, and the benchmarks. It stands among the tests because
 * it runs them; {@code ./warpbert package} carries it. Each step runs in a process of its own: a device that a kernel has
 * broken, or a crash, ends that step and no other.
 */
@Command(name = "warpbert gpu-check", mixinStandardHelpOptions = true, sortOptions = false,
        description = "Check a GPU: ops, training, determinism, memory, recovery, speed. Writes gpu-check.json and gpu-check.log, after every step.",
        footer = {"", "Exit codes: 0 no step failed, 1 a step failed, 2 wrong usage."})
public final class GpuCheck implements Callable<Integer> {
    @Option(names = "--device", paramLabel = "NAME", defaultValue = "cuda", description = "cuda, the default, the first GPU that CUDA_VISIBLE_DEVICES leaves; or simt, the same kernels on the CPU, with tiny models.")
    private String device;

    @Option(names = "--out", paramLabel = "DIR", defaultValue = ".", description = "Where the two files go (default: here).")
    private Path out;

    @Option(names = "--only", split = ",", paramLabel = "STEP", description = "Only steps whose names begin so, such as parity or 'training small'.")
    private List<String> only = List.of();

    @Option(names = "--without", split = ",", paramLabel = "STEP", description = "Without steps whose names begin so.")
    private List<String> without = List.of();

    @Option(names = "--minutes", paramLabel = "N", defaultValue = "8", description = "What has not begun by then is skipped (default: 8).")
    private double minutes;

    @Option(names = "--model", paramLabel = "DIR", description = "With --train: training also with this model's weights.")
    private Path model;

    @Option(names = "--train", paramLabel = "FILE", description = "CoLA's format: tab-separated, no header, label second, sentence fourth.")
    private Path train;

    public static void main(String[] args) {
        System.exit(new CommandLine(new GpuCheck()).execute(args));
    }

    @Override
    public Integer call() throws Exception {
        if (!device.equals("cuda") && !device.equals("simt")) {
            throw new CommandLine.ParameterException(new CommandLine(this), "--device is '" + device + "', it must be cuda or simt.");
        }
        if ((model == null) != (train == null)) {
            throw new CommandLine.ParameterException(new CommandLine(this), "--model and --train go together.");
        }
        long end = System.nanoTime() + (long) (minutes * 60e9);
        CheckReport report = new CheckReport(out, new PrintWriter(System.out, true));
        Map<String, Object> about = new LinkedHashMap<>();
        about.put("date", Instant.now().truncatedTo(ChronoUnit.SECONDS).toString());
        about.put("asked", device);
        report.about(about);
        for (Plan.Step step : steps()) {
            long start = System.nanoTime();
            double left = (end - start) * 1e-9;
            StepProcess.Ended ended = left <= 0 ? new StepProcess.Ended(Found.skipped("the time was over before it began"), "")
                    : StepProcess.run(step, left, device, model, train);
            report.log(ended.output());
            if (step.name().equals(Plan.DEVICE)) {
                report.about(ended.found().figures());
            }
            report.add(step.name(), ended.found(), (System.nanoTime() - start) * 1e-9);
            if (step.name().equals(Plan.DEVICE) && ended.found().outcome() == Found.Outcome.FAILED) {
                break; // nothing else can run
            }
        }
        report.line((report.passed() ? "passed: " : "FAILED: ") + report.count(Found.Outcome.PASSED) + " steps passed, "
                + report.count(Found.Outcome.FAILED) + " failed, " + report.count(Found.Outcome.SKIPPED) + " were skipped");
        report.write();
        return report.passed() ? 0 : 1;
    }

    private List<Plan.Step> steps() {
        List<Plan.Step> chosen = new ArrayList<>();
        for (Plan.Step step : Plan.of(device, model != null)) {
            boolean asked = only.isEmpty() || step.name().equals(Plan.DEVICE) || only.stream().anyMatch(step.name()::startsWith);
            if (asked && without.stream().noneMatch(step.name()::startsWith)) {
                chosen.add(step);
            }
        }
        return chosen;
    }
}
