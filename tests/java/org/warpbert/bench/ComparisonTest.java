package org.warpbert.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Precision;

/** The gate, on crafted reports. */
class ComparisonTest {
    private static final Report.Settings SETTINGS = new Report.Settings(Report.Kind.TRAIN, "random:bert-tiny", "cola", "packed", "cpu", 2, Precision.AUTO, 32, 2, 9, null);
    private static final Machine MACHINE = new Machine("cpu", "an op set", "a processor", 2, 2, null, "abc", "17", "2026-01-01T00:00:00Z");

    @TempDir Path folder;

    private static Report.Figure figure(String name, double median, double spread) {
        return new Report.Figure(new Timing(name, median, spread, median, median, 2, 9), "", Map.of());
    }

    private Comparison recorded(Report.Figure... figures) {
        Path file = folder.resolve("report.json");
        new Report(SETTINGS, MACHINE, "host", 100, 10, null, Work.FORMULA, List.of(figures), 0).write(file);
        return Comparison.read(file);
    }

    /** A band of 3 spreads, at least 5%, slower and faster. */
    @ParameterizedTest
    @CsvSource({"0.001, 1.049, WITHIN", "0.001, 1.051, SLOWER", "0.001, 0.96, WITHIN", "0.001, 0.94, FASTER", "0.1, 1.29, WITHIN",
        "0.1, 1.31, SLOWER", "0.1, 0.78, WITHIN", "0.1, 0.76, FASTER", "0, 1, WITHIN"})
    void theBandIsThatOfTheRecordedSpread(double spread, double ratio, Comparison.Verdict verdict) {
        Comparison.Line line = recorded(figure("step", 2, spread)).judge(List.of(figure("step", 2 * ratio, 0.5))).get(0);
        assertEquals(verdict, line.verdict());
        assertEquals(ratio, line.ratio(), 1e-12);
        assertEquals(Math.max(0.05, 3 * spread), line.band(), 1e-12);
    }

    @Test
    void aFigureThatIsNoLongerMeasuredIsNoPass() {
        List<Comparison.Line> lines = recorded(figure("a", 1, 0), figure("b", 1, 0)).judge(List.of(figure("b", 1, 0), figure("c", 1, 0)));
        assertEquals(List.of(Comparison.Verdict.MISSING, Comparison.Verdict.WITHIN), lines.stream().map(Comparison.Line::verdict).toList());
    }

    @Test
    void settingsComeBackAsTheyWere() {
        assertEquals(SETTINGS, recorded(figure("a", 1, 0)).settings());
    }

    @Test
    void refusesFiguresOfAnotherMachineOrWork() {
        Comparison comparison = recorded(figure("a", 1, 0));
        comparison.requireComparable(SETTINGS, MACHINE);
        refused(comparison, SETTINGS, new Machine("cuda", "an op set", "a processor", 2, 2, null, null, "", ""), "another device ('cpu', here 'cuda')");
        refused(comparison, SETTINGS, new Machine("cpu", "an op set", "a processor", 2, 4, null, null, "", ""), "another thread count ('2', here '4')");
        refused(comparison, SETTINGS, new Machine("cpu", "an op set", "another", 2, 2, null, null, "", ""), "another processor");
        refused(comparison, new Report.Settings(Report.Kind.TRAIN, "random:bert-tiny", "nsmc", "packed", "cpu", 2, Precision.AUTO, 32, 2, 9, null), MACHINE, "another --lengths ('cola', here 'nsmc')");
        refused(comparison, new Report.Settings(Report.Kind.INFER, "random:bert-tiny", "cola", "packed", "cpu", 2, Precision.AUTO, 32, 2, 9, null), MACHINE, "another measurement");
    }

    private static void refused(Comparison comparison, Report.Settings settings, Machine machine, String why) {
        String message = assertThrows(WarpBertException.class, () -> comparison.requireComparable(settings, machine)).getMessage();
        assertTrue(message.contains(why), message);
    }

    @Test
    void refusesWhatIsNoReport() throws IOException {
        Path file = folder.resolve("x.json");
        for (String text : List.of("", "{", "[]", "{\"figures\": []}")) {
            Files.writeString(file, text);
            String message = assertThrows(WarpBertException.class, () -> Comparison.read(file)).getMessage();
            assertTrue(message.contains("x.json"), message);
        }
        assertThrows(WarpBertException.class, () -> Comparison.read(folder.resolve("none")));
        assertTrue(assertThrows(WarpBertException.class, () -> recorded().judge(List.of())).getMessage().contains("holds no figures"));
    }

    @Test
    void mediansAndQuartiles() {
        Timing timing = Timing.of("x", 1, new double[] {5, 1, 2, 4, 3});
        assertEquals(3, timing.median());
        assertEquals((4.0 - 2.0) / 3, timing.spread(), 1e-12);
        assertEquals(List.of(1.0, 5.0), Arrays.asList(timing.min(), timing.max()));
        int[] runs = new int[1];
        assertTrue(Timing.measure("x", 1, 3, () -> runs[0]++).median() < 1e-5, "the time of one run, not of all");
        assertTrue(runs[0] > 100, "what is short is run often");
    }
}
