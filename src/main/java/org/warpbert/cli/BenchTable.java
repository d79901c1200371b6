package org.warpbert.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.warpbert.bench.Report;

/** A report's figures as lines for a person. */
final class BenchTable {
    private BenchTable() {}

    static List<String> of(Report report) {
        return report.settings().what() == Report.Kind.OPS ? ops(report) : runs(report);
    }

    private static List<String> ops(Report report) {
        List<String> lines = new ArrayList<>();
        double step = report.figures().stream().mapToDouble(BenchTable::secondsPerStep).sum();
        lines.add(String.format("%-34s %-26s %10s %7s %7s %6s %7s %6s %6s %7s", "op", "shape", "us", "spread", "GB/s", "copy", "TFLOP/s", "gemm", "x step", "of step"));
        for (Report.Figure f : report.figures()) {
            Map<String, Double> r = f.rates();
            String products = r.containsKey("tflops") ? number("%7.3f %5.0f%%", r.get("tflops"), 100 * r.get("share_of_gemm")) : " ".repeat(14);
            lines.add(number("%-34s %-26s %10.1f %6.1f%% %7.1f %5.0f%% %s %6.0f %6.1f%%", f.timing().name(), f.what(), 1e6 * f.timing().median(),
                    100 * f.timing().spread(), r.get("gb_per_second"), 100 * r.get("share_of_copy"), products, r.get("runs_per_step"), 100 * secondsPerStep(f) / step));
        }
        lines.add(number("a training step by its parts: %.1f ms (each op alone, %s)", 1e3 * step,
                report.clock().equals("host") ? "its operands as warm as its own runs leave them" : "by the device's clock, caches cleared before each run"));
        lines.add("copy: share of a copy that moves as many bytes; gemm: share of the measured matrix-product rate");
        return lines;
    }

    private static double secondsPerStep(Report.Figure figure) {
        return figure.rates().get("runs_per_step") * figure.timing().median();
    }

    private static List<String> runs(Report report) {
        List<String> lines = new ArrayList<>();
        lines.add(String.format("%-14s %-32s %10s %7s %14s %9s %7s %7s", "", "", "ms", "spread", "real tokens/s", "GFLOP/s", "of gemm", "MFU"));
        for (Report.Figure f : report.figures()) {
            Map<String, Double> r = f.rates();
            lines.add(number("%-14s %-32s %10.2f %6.1f%% %,14.0f %9.1f %6.1f%% %6.1f%%", f.timing().name(), f.what(), 1e3 * f.timing().median(), 100 * f.timing().spread(),
                    r.get("real_tokens_per_second"), r.get("model_gflops"), 100 * r.get("share_of_gemm"), 100 * r.get("model_flop_utilisation")));
            if (r.containsKey("products_share_of_time")) {
                lines.add(number("matrix products take %.1f%% of the step's time", 100 * r.get("products_share_of_time")));
            }
            if (r.containsKey("sequences_per_second")) {
                lines.add(number("%,.1f sequences/s", r.get("sequences_per_second")));
            }
        }
        lines.add("MFU: model FLOP/s of " + (report.settings().peakTflops() == null ? "the measured matrix-product rate" : report.settings().peakTflops() + " TFLOP/s"));
        return lines;
    }

    private static String number(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
