package org.warpbert.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.backend.Dtype;
import org.warpbert.backend.Precision;
import org.warpbert.bench.Benchmark;
import org.warpbert.bench.Floor;
import org.warpbert.bench.Report;

/** Floors counted by hand, docs/kernels.md's generator on a crafted result, and docs/kernels.md itself. */
class KernelPageTest {
    @TempDir Path folder;

    private static Floor floor(List<Floor> floors, String name) {
        return floors.stream().filter(f -> f.name().equals(name)).findFirst().orElseThrow();
    }

    @Test
    void bytesAndOperationsAreThoseCountedByHand() {
        List<Floor> floors = Floor.of("random:bert-base", "fixed:512", 32, Dtype.BF16);
        long t = 32 * 512;
        Floor up = floor(floors, "gemm_forward up");
        assertEquals(2.0 * t * 768 * 3072, up.flop());
        assertEquals(2 * (t * 768 + 768 * 3072 + t * 3072), up.bytes());
        assertEquals(0, up.perStep(), "in 16 bits it computes the activation");
        Floor activated = floor(floors, "gemm_forward up and activation");
        assertEquals(11, activated.perStep(), "the last layer's is of the rows that are read");
        assertEquals(up.flop(), activated.flop());
        assertEquals(up.bytes() + 2 * t * 3072, activated.bytes(), "the activation's argument is kept");
        assertEquals(activated.bytes(), floor(floors, "gemm_backward_input down and activation").bytes(), "and read");
        assertEquals(4.0 * 512 * 512 * 768 * 32, floor(floors, "attention_forward").flop());
        assertEquals(10.0 * 512 * 512 * 768 * 32, floor(floors, "attention_backward without dropout").flop());
        assertEquals(4 * 2 * t * 768, floor(floors, "residual_layernorm_forward").bytes(), "x and residual read, z and y written");
        assertEquals(2 * 2 * Math.round(0.15 * t) * 30522, floor(floors, "cross_entropy words of 15%").bytes());
        long n = 109_483_792; // the table of parameters, gaps included
        long met = 12_581; // words: 16,384 draws from 29,522 give 12,574 +- 43
        long idle = (30_522 - met) * 768;
        assertEquals(4 * (n - idle) + 30_522, floor(floors, "gradient_norm").bytes());
        assertEquals(30 * (n - idle) + 10 * idle + 30_522, floor(floors, "adamw").bytes(), "the copy in 16 bits is written, also of words that only decay");
        assertEquals(4 * met * 768 + 30_522, floor(floors, "zero_rows").bytes());
        assertEquals(4 * (512 + 2) * 768 + 4 * 122_128, floor(floors, "zero").bytes(), "the other tables and the vectors");
        assertEquals(2.0, new Floor("", "", 1, 10, 3).seconds(5, 3), "the later of two");
        assertEquals(3.0, new Floor("", "", 1, 10, 9).seconds(5, 3));
    }

    @Test
    void theyAreThoseOfWhatIsMeasured() {
        Report report = Benchmark.run(new Report.Settings(Report.Kind.OPS, "random:bert-tiny", "cola", "packed", "cpu", 2, Precision.AUTO, 3, 1, 1, null));
        List<Floor> floors = Floor.of("random:bert-tiny", "cola", 3, Dtype.F32);
        assertEquals(report.figures().stream().map(f -> f.timing().name()).toList(), floors.stream().map(Floor::name).toList());
        for (int i = 0; i < floors.size(); i++) {
            assertEquals(report.figures().get(i).rates().get("bytes"), floors.get(i).bytes(), floors.get(i).name());
            assertEquals(report.figures().get(i).rates().get("flop"), floors.get(i).flop(), floors.get(i).name());
        }
    }

    @Test
    void whatWasMeasuredStandsBesideAndTheHandWrittenPartStays() throws IOException {
        Files.writeString(folder.resolve("gpu-bench-ops-512.json"), """
                {"machine": {"device": "cuda"}, "copy_gb_per_second": 2950, "gemm_gflops": 700000, "figures": [{"name": "adamw", "median": 0.00125}]}""");
        Path page = folder.resolve("kernels.md");
        Files.writeString(page, "# old\n\n" + KernelPage.HAND_WRITTEN + "\n\nby hand\n");
        KernelPage.main(new String[] {folder.toString(), page.toString()});
        String text = Files.readString(page);
        assertTrue(text.contains("Measured ceilings: copies 2.95 TB/s, products 700 TFLOP/s."), text);
        assertEquals(List.of("1250.0 |", "not yet run |"), text.lines().filter(line -> line.startsWith("| adamw |")).map(line -> line.replaceFirst(".*\\| (.* \\|)$", "$1")).toList());
        assertTrue(!text.contains("# old") && text.endsWith("\n\n" + KernelPage.HAND_WRITTEN + "\n\nby hand\n"), text);
    }

    @Test
    void thePageIsThatOfTheResults() throws IOException {
        String page = Files.readString(Path.of("docs", "kernels.md"));
        assertEquals(KernelPage.floors(Path.of("benchmarks", "results")) + "\n", page.substring(0, page.indexOf(KernelPage.HAND_WRITTEN)),
                "run the command of benchmarks/README.md that writes docs/kernels.md");
    }
}
