package org.warpbert.check;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.platform.launcher.Launcher;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary;

/** The tests of the ops, run on one device: the same table of cases as everywhere. */
final class ParityCheck {
    private static final String[] CLASSES = {
        "org.warpbert.backend.OpParityTest", "org.warpbert.backend.OpErrorsTest", "org.warpbert.backend.DropoutTest",
        "org.warpbert.backend.GemmTest", "org.warpbert.backend.VocabularyLossTest"};

    private ParityCheck() {}

    /** @param device the one backend that the tests are to run on; they fail where it does not open */
    static CheckReport.Found run(String device, CheckReport report) {
        System.setProperty("warpbert.backends", device);
        System.setProperty("warpbert.require", device);
        LauncherDiscoveryRequest request = LauncherDiscoveryRequestBuilder.request()
                .selectors(Arrays.stream(CLASSES).map(name -> selectClass(name)).toList()).build();
        Launcher launcher = LauncherFactory.create();
        SummaryGeneratingListener listener = new SummaryGeneratingListener();
        launcher.execute(request, listener);
        TestExecutionSummary summary = listener.getSummary();
        summary.getFailures().forEach(failure -> report.line("    " + failure.getTestIdentifier().getUniqueId() + ": " + failure.getException()));
        Map<String, Object> figures = new LinkedHashMap<>();
        figures.put("tests", summary.getTestsFoundCount());
        figures.put("passed", summary.getTestsSucceededCount());
        figures.put("failed", summary.getTotalFailureCount());
        figures.put("skipped", summary.getTestsSkippedCount() + summary.getTestsAbortedCount());
        String detail = summary.getTestsSucceededCount() + " of " + summary.getTestsFoundCount() + " cases agree with float64";
        boolean passed = summary.getTotalFailureCount() == 0 && summary.getTestsSucceededCount() > 0;
        return new CheckReport.Found(passed ? CheckReport.Outcome.PASSED : CheckReport.Outcome.FAILED, detail, figures);
    }
}
