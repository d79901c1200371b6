package org.warpbert.cli;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.bench.BenchModel;
import org.warpbert.bench.Benchmark;
import org.warpbert.bench.Comparison;
import org.warpbert.bench.Lengths;
import org.warpbert.bench.Machine;
import org.warpbert.bench.Report;
import org.warpbert.bench.Work;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Measures this machine's speed, and fails where it has become worse than recorded. */
@Command(name = "bench", description = "Measure ops, a training step or inference, beside this machine's own copy and matrix-product rates.",
        footer = {"", "With --compare FILE and no more, what FILE recorded is measured again. The exit code is 1 where a time is longer than",
                "recorded by more than the noise band: 3 times the recorded spread ((third quartile - first) / median), at least 5%."})
final class BenchCommand extends WarpBertCommand {
    @Parameters(arity = "0..1", paramLabel = "ops|train|infer", description = "Every op at this model's shapes; a whole training step (forward, backward, "
            + "clip, AdamW); or inference, latency of one sequence and throughput of a batch.")
    private Report.Kind what;

    @Option(names = "--model", paramLabel = "NAME|DIR|random:SIZE", defaultValue = "random:bert-base",
            description = "A model, or random weights of a size (default: random:bert-base): " + BenchModel.SIZES + ".")
    private String model;

    @Option(names = "--lengths", paramLabel = "LENGTHS", defaultValue = "fixed:128", description = "Tokens of the batch's sequences (default: fixed:128): " + Lengths.SYNTAX + ".")
    private String lengths;

    @Option(names = "--layout", paramLabel = "packed|padded", defaultValue = "packed", description = "Packed without padding (the default), or padded and masked.")
    private String layout;

    @Option(names = "--batch-size", paramLabel = "N", defaultValue = "32", converter = Count.class, description = "Sequences of the batch (default: 32).")
    private int batchSize;

    @Mixin private DeviceOptions device;

    @Option(names = "--warmup", paramLabel = "N", defaultValue = "2", converter = Count.class, description = "Runs before measuring (default: 2).")
    private int warmup;

    @Option(names = "--repeats", paramLabel = "N", defaultValue = "9", converter = Count.class, description = "Measured runs; the median counts (default: 9).")
    private int repeats;

    @Option(names = "--peak-tflops", paramLabel = "X", description = "The device's published peak, for the model FLOP utilisation (default: the measured matrix-product rate).")
    private Double peakTflops;

    @Option(names = "--json", paramLabel = "FILE", description = "Write all figures, with the machine, as JSON.")
    private Path json;

    @Option(names = "--compare", paramLabel = "FILE", description = "Compare with the figures that --json wrote; exit code 1 where one is worse beyond its noise.")
    private Path compare;

    @Option(names = "--turns", paramLabel = "FILE", description = "train and infer: measure nothing, but write the batch to FILE and do the work when standard "
            + "input says so, in turns with other engines (benchmarks/README.md).")
    private Path turns;

    BenchCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        checkFile("--json", json);
        Comparison record = compare == null ? null : Comparison.read(compare);
        Report.Settings settings = what == null && record != null ? record.settings() : settings();
        if (record != null) { // known before minutes are spent
            try (Backend backend = Backends.open(settings.device(), settings.threads(), settings.precision())) {
                record.requireComparable(settings, Machine.of(backend));
            }
        }
        if (!settings.model().startsWith("random:")) {
            fetch(settings.model());
        }
        if (turns != null) {
            takeTurns(settings);
            return;
        }
        Report report = Benchmark.run(settings, device.memory);
        print(report);
        if (json != null) {
            report.write(json);
        }
        if (record != null) {
            judge(record.judge(report.figures()));
        }
    }

    private void takeTurns(Report.Settings settings) {
        try {
            Benchmark.takeTurns(settings, device.memory, turns, new BufferedReader(new InputStreamReader(terminal.in(), StandardCharsets.UTF_8)), answer -> {
                terminal.print(answer);
                terminal.flush();
            });
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new WarpBertException("a turn ended in the middle: " + e.getMessage(), e);
        }
    }

    private Report.Settings settings() {
        if (what == null) {
            throw usage("Missing what to measure: ops, train or infer (or --compare FILE, to measure what it recorded).");
        }
        if (!layout.equals("packed") && !layout.equals("padded")) {
            throw usage("--layout is '" + layout + "', it must be packed or padded");
        }
        if (turns != null && (what == Report.Kind.OPS || compare != null || json != null)) {
            throw usage("--turns is for train and infer, without --json and --compare");
        }
        if (peakTflops != null && !(peakTflops > 0)) {
            throw usage("--peak-tflops is " + peakTflops + ", it must be more than 0");
        }
        int padded = checked(() -> Lengths.parse(lengths)).paddedLength();
        if ((long) batchSize * padded > Integer.MAX_VALUE) {
            throw usage("--batch-size " + batchSize + " with sequences of " + padded + " tokens (--lengths) is more than can be counted");
        }
        return new Report.Settings(what, model, lengths, layout, device.device, device.threads, device.precision, batchSize, warmup, repeats, peakTflops);
    }

    private void print(Report report) {
        Work work = report.work();
        line("%s, %d threads; %s; %s", report.machine().cpu(), report.machine().threads(), report.machine().description(), report.machine().date());
        line("measured here: matrix products %.1f GFLOP/s, copy %.1f GB/s (read and written, beyond the caches)", report.gemmGflops(), report.copyGbPerSecond());
        line("%s, %,d parameters; %s, %s: %d sequences, %,d real tokens, fill %.3f of the padded batch", work.model(), work.parameters(),
                work.lengths(), work.layout(), work.sequences(), work.realTokens(), work.fill());
        if (report.settings().what() != Report.Kind.OPS) {
            line("%s; N = %,d: %.1f GFLOP a step, %.1f a forward", Work.FORMULA, work.encoderWeights(), work.trainGflop(), work.inferGflop());
        }
        line("");
        BenchTable.of(report).forEach(terminal::print);
        line("");
        line("median of %d runs after %d; spread = (third quartile - first) / median", report.settings().repeats(), report.settings().warmup());
        terminal.flush();
    }

    private void judge(List<Comparison.Line> lines) {
        line("");
        line("%-40s %12s %12s %8s %8s", "beside " + compare.getFileName(), "recorded ms", "now ms", "ratio", "band");
        for (Comparison.Line l : lines) {
            line("%-40s %12.4f %12.4f %8.3f %7.1f%% %s", l.name(), 1e3 * l.was(), 1e3 * l.is(), l.ratio(), 100 * l.band(), l.verdict().name().toLowerCase(Locale.ROOT));
        }
        terminal.flush();
        List<Comparison.Line> worse = lines.stream().filter(l -> l.verdict() == Comparison.Verdict.SLOWER || l.verdict() == Comparison.Verdict.MISSING).toList();
        if (!worse.isEmpty()) {
            throw new WarpBertException(worse.size() + " of " + lines.size() + " figures are worse than " + compare + " beyond their noise: "
                    + worse.stream().map(l -> l.verdict() == Comparison.Verdict.MISSING ? l.name() + " (not measured any more)"
                            : String.format(Locale.ROOT, "%s (%.2f times the time, %.2f allowed)", l.name(), l.ratio(), 1 + l.band())).collect(Collectors.joining(", ")));
        }
    }

    private void line(String format, Object... values) {
        terminal.print(String.format(Locale.ROOT, format, values));
    }
}
