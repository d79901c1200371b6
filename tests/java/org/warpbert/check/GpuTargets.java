package org.warpbert.check;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.DoubleFunction;

/** What is wanted of an H100, and what is. */
final class GpuTargets {
    private static final double PEAK_TFLOPS = 989;       // bf16, dense, of the data sheet
    private static final double PUBLISHED_TFLOPS = 215;  // FlashAttention-2 at heads of 64, 512 long, forward and backward
    private static final double UTILISATION = 0.50;
    private static final double ATTENTION_SHARE = 0.8;
    private static final double COPY_SHARE = 0.85;
    private static final double LATENCY_MS = 0.6;

    /**
     * One line of the table.
     *
     * @param is what was measured, or {@value GpuPage#NOT_RUN}
     */
    record Row(String work, String against, String is, String wanted, String verdict) {}

    private final GpuResults results;
    private final List<Row> rows = new ArrayList<>();

    private GpuTargets(GpuResults results) {
        this.results = results;
    }

    static List<Row> of(GpuResults results) {
        GpuTargets targets = new GpuTargets(results);
        for (String length : List.of("128", "512")) {
            String work = "Training bf16, all " + length + " long";
            targets.ratio(work, "train-" + length, "PyTorch eager", 1.5);
            targets.ratio(work, "train-" + length, "torch.compile", 1.2);
            targets.atLeast(work, number("model FLOP utilisation of %.0f TFLOP/s", PEAK_TFLOPS), UTILISATION, "%.2f",
                    results.own("train-" + length).map(own -> own.get("model_tflops").asDouble() / PEAK_TFLOPS));
        }
        targets.ratio("Training bf16, CoLA's lengths", "train-cola", "PyTorch eager, padded to 64", 5);
        targets.ratio("Training bf16, CoLA's lengths", "train-cola", "torch.compile, padded to 64", 5);
        targets.atLeast("Attention forward and backward, heads of 64, 512 long, no dropout", number("%.0f TFLOP/s, published of FlashAttention-2", PUBLISHED_TFLOPS),
                ATTENTION_SHARE, "%.2f of it", results.attentionTflops("512").map(own -> own.both() / PUBLISHED_TFLOPS));
        targets.kernels("LayerNorm, 16,384 tokens", "residual_layernorm_forward", "residual_layernorm_backward");
        targets.kernels("GELU, 16,384 tokens", "bias_activation_forward gelu", "bias_activation_backward gelu");
        targets.kernels("AdamW, all parameters", "adamw");
        targets.kernels("Cross-entropy, 2,458 rows of the vocabulary", "cross_entropy words of 15%");
        String one = "Inference bf16, one sequence of 128, bert-base";
        targets.ratio(one, "infer-one", "PyTorch with a CUDA graph", 1.3);
        targets.ratio(one, "infer-one", "torch.compile with a CUDA graph", 1.3);
        Optional<Double> latency = results.own("infer-one").map(own -> 1e3 * own.get("median").asDouble());
        targets.add(one, "–", latency, ms -> number("%.3f ms", ms), number("under %.1f ms", LATENCY_MS), latency.map(ms -> ms < LATENCY_MS));
        return targets.rows;
    }

    private void kernels(String work, String... ops) {
        for (String op : ops) {
            atLeast(work + ": `" + op + "`", "measured copy bandwidth", COPY_SHARE, "%.2f of it", results.op("512", op).map(figure ->
                    figure.at("/rates/gb_per_second").asDouble() / results.file("bench-ops-512").orElseThrow().get("copy_gb_per_second").asDouble()));
        }
    }

    private void ratio(String work, String contest, String against, double wanted) {
        Optional<JsonNode> ratio = results.ratio(contest, against);
        Optional<Double> times = ratio.map(r -> r.get("times_as_fast").asDouble());
        add(work, against, times, value -> times(ratio.orElseThrow()), number("%.2f times as fast", wanted), times.map(value -> value >= wanted));
    }

    private void atLeast(String work, String against, double wanted, String format, Optional<Double> is) {
        add(work, against, is, value -> number(format, value), number(format, wanted), is.map(value -> value >= wanted));
    }

    private void add(String work, String against, Optional<Double> is, DoubleFunction<String> text, String wanted, Optional<Boolean> reached) {
        rows.add(new Row(work, against, is.map(text::apply).orElse(GpuPage.NOT_RUN), wanted, reached.map(yes -> yes ? "reached" : "**not reached**").orElse("")));
    }

    static String times(JsonNode ratio) {
        return number("%.2f times as fast (%.2f to %.2f)", ratio.get("times_as_fast").asDouble(), ratio.get("least").asDouble(), ratio.get("most").asDouble());
    }

    static String number(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
