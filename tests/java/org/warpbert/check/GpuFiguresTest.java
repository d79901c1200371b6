package org.warpbert.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The GPU's part of docs/performance.md on crafted results, and docs/performance.md itself. */
class GpuFiguresTest {
    private static final String MACHINE = """
            "machine": {"device": "%s", "description": "cuda: Crafted 9000", "driver": "crafted driver", "commit": "0123456789ab", "date": "2001-02-03T04:05:06Z"}""";

    @TempDir Path folder;

    private void contest(String name, String device, double median, double tflops, String ratios) throws IOException {
        Files.writeString(folder.resolve("gpu-" + name + ".json"), """
                {"name": "%s", "title": "Work of %s", "steps_a_turn": 10, "real_tokens": 1024, "work": {"sequences": 8}, "command": "contest.py",
                 "engines": [{"name": "WarpBERT, packed", "median": %s, "spread": 0.01, "real_tokens_per_second": 5000, "model_tflops": %s,
                              "about": {"library": "WarpBERT", "layout": "packed", "precision": "bf16", "peak_device_bytes": 2500000000}},
                             {"name": "PyTorch eager", "median": 1, "spread": 0.01, "real_tokens_per_second": 1024, "model_tflops": 1,
                              "about": {"library": "PyTorch 0", "layout": "padded to the longest", "attention": "sdpa", "weights": "autocast", "kernels": ["flash_fwd"], "graph_breaks": 2, "peak_device_bytes": 5e9}}],
                 "ratios": [%s], "absent": [{"name": "torch.compile", "reason": "it | ended", "failed": true}], %s}
                """.formatted(name, name, median, tflops, ratios, MACHINE.formatted(device)));
    }

    private static String ratio(String against, double times) {
        return "{\"against\": \"" + against + "\", \"times_as_fast\": " + times + ", \"least\": 1.1, \"most\": 2.2}";
    }

    private static String op(String name, double seconds, double flop, double gbPerSecond) {
        return """
                {"name": "%s", "median": %s, "spread": 0, "what": "[2,3]", "rates": {"flop": %s, "gb_per_second": %s, "runs_per_step": 12%s}}"""
                .formatted(name, seconds, flop, gbPerSecond, flop > 0 ? ", \"tflops\": 7, \"share_of_gemm\": 0.5" : "");
    }

    private List<String> lines() throws IOException {
        return GpuFigures.section(folder, "../results").lines().toList();
    }

    @Test
    void targetsAreJudged() throws IOException {
        contest("train-128", "cuda", 0.25, 600, ratio("PyTorch eager", 1.4));
        contest("infer-one", "cuda", 0.0005, 1, ratio("PyTorch with a CUDA graph", 1.35));
        contest("train-512", "simt", 0.25, 600, ratio("PyTorch eager", 9));
        Files.writeString(folder.resolve("gpu-bench-ops-512.json"), """
                {"settings": {"lengths": "fixed:512", "batch_size": 32}, "work": {"sequences": 32}, "copy_gb_per_second": 2000, "gemm_gflops": 600000, %s, "figures": [%s]}
                """.formatted(MACHINE.formatted("cuda"), String.join(", ", op("attention_forward without dropout", 1e-3, 2e11, 10), op("attention_backward without dropout", 3e-3, 5e11, 10),
                op("adamw", 1e-3, 0, 1800), op("residual_layernorm_forward", 1e-3, 0, 1600))));
        Files.writeString(folder.resolve("gpu-attention.json"), """
                {"figures": [{"backend": "CUDNN_ATTENTION", "sequences": 32, "length": 512, "tflops_forward": 400, "tflops_backward": 300, "tflops_both": 325}],
                 "command": "attention.py", "date": "2001", "device": "Crafted 9000", "library": "PyTorch 0"}""");
        List<String> lines = lines();
        String text = String.join("\n", lines);
        assertTrue(lines.contains("| CUDNN_ATTENTION | 32 of 512 | 400 | 300 | 325 |"), text);
        assertTrue(lines.contains("| WarpBERT | 32 of 512 | 200 | 167 | 175 |"), text);
        assertTrue(lines.contains("Engines: WarpBERT, packed: WarpBERT, packed, bf16; PyTorch eager: PyTorch 0, padded to the longest, sdpa, autocast, `flash_fwd`, 2 graph breaks."), text);
        assertTrue(lines.contains("| Training bf16, all 128 long | PyTorch eager | 1.40 times as fast (1.10 to 2.20) | 1.50 times as fast | **not reached** |"), text);
        assertTrue(lines.contains("| Training bf16, all 128 long | torch.compile | not yet run | 1.20 times as fast |  |"), text);
        assertTrue(lines.contains("| Training bf16, all 128 long | model FLOP utilisation of 989 TFLOP/s | 0.61 | 0.50 | reached |"), text);
        assertTrue(lines.contains("| Training bf16, all 512 long | PyTorch eager | not yet run | 1.50 times as fast |  |"), "simt's are no GPU's");
        assertTrue(text.contains("| 0.81 of it | 0.80 of it | reached |"), "(2e11 + 5e11) / 4 ms = 175 of 215 TFLOP/s");
        assertTrue(text.contains("`adamw` | measured copy bandwidth | 0.90 of it | 0.85 of it | reached |"), text);
        assertTrue(text.contains("`residual_layernorm_forward` | measured copy bandwidth | 0.80 of it | 0.85 of it | **not reached** |"), text);
        assertTrue(lines.contains("| Inference bf16, one sequence of 128, bert-base | – | 0.500 ms | under 0.6 ms | reached |"), text);
        assertTrue(lines.contains("| WarpBERT, packed | 250.000 | 1.0% | 5,000 | 600.0 | 2.50 GB |  |"), text);
        assertTrue(lines.contains("| torch.compile | not yet run: it \\| ended | | | | | |"), text);
        assertTrue(text.contains("([JSON](../results/gpu-train-128.json))"), text);
        assertFalse(text.contains("No result of a GPU"), text);
    }

    @Test
    void withoutResultsNothingWasRun() throws IOException {
        List<String> rows = GpuFigures.section(folder.resolve("none"), "x").lines().filter(line -> line.startsWith("| ")).skip(1).toList();
        assertEquals(18, rows.size(), rows.toString());
        rows.forEach(row -> assertTrue(row.contains("| not yet run |") && row.endsWith("|  |"), row));
    }

    @Test
    void thePageIsThatOfTheResults() throws IOException {
        String page = Files.readString(Path.of("docs", "performance.md"));
        assertTrue(page.endsWith(GpuFigures.section(Path.of("benchmarks", "results"), "../benchmarks/results")), "run the command of benchmarks/README.md that writes docs/performance.md");
    }
}
