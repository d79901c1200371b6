package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.warpbert.bench.Benchmark;
import org.warpbert.bench.Report;

/** {@code warpbert bench ops} times every op of the header, each under its own name. */
class BenchOpsTest {
    @Test
    void everyOpIsMeasured() {
        Report report = Benchmark.run(new Report.Settings(Report.Kind.OPS, "random:bert-tiny", "cola", "packed", "cpu", 2, Precision.AUTO, 3, 1, 1, null));
        List<String> names = report.figures().stream().map(figure -> figure.timing().name()).toList();
        List<String> missing = OpHeader.ops().stream().filter(op -> names.stream().noneMatch(name -> name.split(" ")[0].equals(op))).toList();
        assertEquals(List.of(), missing, "ops of warpbert.h that no measurement runs: add them to LayerOps or OptimizerOps");
        assertEquals(names.size(), names.stream().distinct().count(), "figures are compared by name");
        assertTrue(report.figures().stream().allMatch(figure -> figure.rates().get("share_of_copy") > 0));
        assertEquals(12, names.stream().filter(name -> name.startsWith("gemm_")).count());
    }
}
