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

/** docs/gpu.md's generator on crafted reports, and docs/gpu.md itself. */
class GpuPageTest {
    @TempDir Path folder;

    private static String report(String device, boolean passed) {
        return """
                {"date": "2001-02-03T04:05:06Z", "passed": %s, "machine": {"device": "%s", "description": "cuda: Crafted 9000, sm_90", "cpu": "an abacus",
                 "cores": 3, "driver": "crafted driver 1.2", "commit": "0123456789ab", "java": "17"},
                 "steps": [{"name": "device", "outcome": "PASSED", "detail": "Crafted 9000", "seconds": 1.0, "figures": {}},
                           {"name": "parity GemmTest", "outcome": "FAILED", "detail": "1 of 2 | wrong", "seconds": 1.0, "figures": {}},
                           {"name": "cudnn", "outcome": "SKIPPED", "detail": "libcudnn.so.9 was not found", "seconds": 0.1, "figures": {}},
                           {"name": "an old step", "outcome": "PASSED", "detail": "well", "seconds": 0.1, "figures": {}}]}
                """.formatted(passed, device);
    }

    @Test
    void aReportIsRenderedAndTheHandWrittenPartStays() throws IOException {
        Path results = Files.createDirectory(folder.resolve("results"));
        Files.writeString(results.resolve("gpu-check-crafted.json"), report("cuda", false));
        Files.writeString(results.resolve("gpu-check-simt.json"), report("simt", true).replace("Crafted", "Simulated"));
        Files.writeString(results.resolve("bench-train.json"), "{}");
        Path page = folder.resolve("gpu.md");
        Files.writeString(page, "# old\n\n" + GpuPage.HAND_WRITTEN + "\n\nby hand\n");
        GpuPage.main(new String[] {results.toString(), page.toString()});
        String text = Files.readString(page);
        List<String> lines = text.lines().toList();
        assertTrue(lines.contains("## cuda: Crafted 9000, sm_90"), text);
        assertTrue(text.contains("2001-02-03T04:05:06Z, commit 0123456789ab, driver crafted driver 1.2; an abacus, 3 cores") && text.contains("Steps failed."), text);
        assertTrue(lines.contains("| device | passed | Crafted 9000 |"), text);
        assertTrue(lines.contains("| parity GemmTest | **failed** | 1 of 2 \\| wrong |"), text);
        assertTrue(lines.contains("| cudnn | not yet run | libcudnn.so.9 was not found |"), text);
        assertTrue(lines.contains("| an old step | passed | well |"), text);
        assertTrue(lines.contains("| training bert-base bf16 | not yet run | |"), text);
        assertFalse(text.contains("Simulated") || text.contains("# old"), text);
        assertTrue(text.endsWith("\n\n" + GpuPage.HAND_WRITTEN + "\n\nby hand\n"), text);
        GpuPage.main(new String[] {results.toString(), page.toString()});
        assertEquals(text, Files.readString(page), "again the same");
    }

    @Test
    void withoutReportsNothingWasRun() throws IOException {
        String text = GpuPage.results(folder.resolve("none"));
        List<String> rows = text.lines().filter(line -> line.startsWith("| ")).skip(1).toList();
        assertEquals(Plan.of("cuda", true).size(), rows.size());
        rows.forEach(row -> assertTrue(row.endsWith("| not yet run | |"), row));
    }

    @Test
    void thePageIsThatOfTheResults() throws IOException {
        String page = Files.readString(Path.of("docs", "gpu.md"));
        assertEquals(GpuPage.results(Path.of("benchmarks", "results")) + "\n", page.substring(0, page.indexOf(GpuPage.HAND_WRITTEN)),
                "run the command of benchmarks/README.md that writes docs/gpu.md");
    }
}
