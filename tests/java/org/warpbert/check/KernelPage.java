package org.warpbert.check;

import static org.warpbert.check.GpuTargets.number;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.warpbert.backend.Dtype;
import org.warpbert.bench.Floor;
import org.warpbert.format.AtomicFile;

/**
 * Writes the floors of docs/kernels.md: what each op must at least read, write and compute, how long an H100 needs for that, what is
 * predicted of our kernels, and what was measured. From the heading {@value #HAND_WRITTEN} on the page stays as it is.
 */
public final class KernelPage {
    static final String HAND_WRITTEN = "## Versions";

    // NVIDIA's data sheet of the H100 SXM: memory, and bfloat16 on tensor cores without sparsity
    private static final double BYTES_PER_SECOND = 3.35e12;
    private static final double FLOP_PER_SECOND = 989e12;

    // Predictions, made before any run: of the data sheet's memory a copy gets 0.9 and a kernel 0.85 of that; of its products cuBLASLt
    // gets 0.7 at these shapes; our attention reaches 172 TFLOP/s at 512 (0.8 of FlashAttention-2's 215); a launch is 2 us
    private static final double MEMORY_SHARE = 0.9 * 0.85;
    private static final double PRODUCT_SHARE = 0.7;
    private static final double ATTENTION_FLOP_PER_SECOND = 172e12;
    private static final double LAUNCH_SECONDS = 2e-6;

    private final StringBuilder page = new StringBuilder();
    private final GpuResults results;

    private KernelPage(GpuResults results) {
        this.results = results;
    }

    /** @param args the folder of results, which may be missing, and the page */
    public static void main(String[] args) throws IOException {
        Path page = Path.of(args[1]);
        String before = Files.exists(page) ? Files.readString(page) : "";
        int kept = before.indexOf(HAND_WRITTEN);
        AtomicFile.write(page, (floors(Path.of(args[0])) + (kept < 0 ? "" : "\n" + before.substring(kept))).getBytes(StandardCharsets.UTF_8));
    }

    /** The page down to its hand-written part. */
    static String floors(Path folder) throws IOException {
        KernelPage made = new KernelPage(GpuResults.read(folder));
        made.write();
        return made.page.toString();
    }

    private void write() {
        line("# Kernels on an H100: floors, predictions, outcomes");
        line("");
        line("Written by `org.warpbert.check.KernelPage` (see benchmarks/README.md) from the ops' own sizes and from `benchmarks/results/gpu-bench-ops-*.json`, which "
                + "`benchmarks/run-gpu.sh ops` leaves; down to \"" + HAND_WRITTEN.substring(3) + "\" not edited by hand.");
        line("");
        line(number("bert-base in bfloat16. Two floors stand under each op: its bytes, each read or written once, at the data sheet's %.2f TB/s, and its operations on "
                + "tensor cores at the data sheet's %.0f TFLOP/s. Measured ceilings: %s. The prediction takes the later floor at what is thought attainable: memory "
                + "at %.2f of the data sheet (0.85 of a copy that gets 0.9), products at %.2f, attention at %.0f TFLOP/s, nothing under %.0f µs.",
                1e-12 * BYTES_PER_SECOND, 1e-12 * FLOP_PER_SECOND, ceilings(), MEMORY_SHARE, PRODUCT_SHARE, 1e-12 * ATTENTION_FLOP_PER_SECOND, 1e6 * LAUNCH_SECONDS));
        table("512", "fixed:512", 32);
        table("128", "fixed:128", 128);
    }

    private String ceilings() {
        Optional<JsonNode> bench = results.file("bench-ops-512");
        return bench.map(b -> number("copies %.2f TB/s, products %.0f TFLOP/s", 1e-3 * b.get("copy_gb_per_second").asDouble(), 1e-3 * b.get("gemm_gflops").asDouble()))
                .orElse(GpuPage.NOT_RUN);
    }

    private void table(String name, String lengths, int batchSize) {
        line("");
        line(number("## %d sequences of %s", batchSize, name));
        line("");
        line("| op | shape | times a step | MB | GFLOP | bytes' floor µs | operations' floor µs | predicted µs | measured µs |");
        line("|---|---|---|---|---|---|---|---|---|");
        double least = 0;
        double step = 0;
        double model = 0; // flop of a step by the formula of utilisation: what is recomputed counts nothing
        for (Floor f : Floor.of("random:bert-base", lengths, batchSize, Dtype.BF16)) {
            double predicted = predicted(f);
            model += f.perStep() * f.flop() * (f.name().startsWith("gemm_") ? 1 : f.name().equals("attention_forward") ? 3 : 0);
            least += f.perStep() * f.seconds(BYTES_PER_SECOND, FLOP_PER_SECOND);
            step += f.perStep() * predicted;
            line("| " + f.name() + " | " + f.shape() + number(" | %d | %.2f | %.2f | %.2f | %.2f | %.1f | ", f.perStep(), 1e-6 * f.bytes(), 1e-9 * f.flop(),
                    1e6 * f.bytes() / BYTES_PER_SECOND, 1e6 * f.flop() / FLOP_PER_SECOND, 1e6 * predicted)
                    + results.op(name, f.name()).map(figure -> number("%.1f", 1e6 * figure.get("median").asDouble())).orElse(GpuPage.NOT_RUN) + " |");
        }
        line("");
        line(number("A training step by its ops: %.1f ms at their floors, a model FLOP utilisation of %.2f; %.1f ms predicted, %.2f.", 1e3 * least,
                model / least / FLOP_PER_SECOND, 1e3 * step, model / step / FLOP_PER_SECOND));
    }

    private static double predicted(Floor f) {
        double products = f.name().startsWith("attention") ? ATTENTION_FLOP_PER_SECOND : PRODUCT_SHARE * FLOP_PER_SECOND;
        return Math.max(LAUNCH_SECONDS, f.seconds(MEMORY_SHARE * BYTES_PER_SECOND, products));
    }

    private void line(String text) {
        page.append(text).append('\n');
    }
}
