package org.warpbert.check;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectMethod;

import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary;

/** The tests of the ops, run on one device: the same table of cases as everywhere, in float32, float16 and bfloat16. */
final class ParityCheck {
    private ParityCheck() {}

    /**
     * Runs a class of tests. Process-wide: meant for a process of its own.
     *
     * @param tests  one of {@link Plan#PARITY}, or a method of it after '#'; a class of another package by its full name
     * @param device the one backend that the tests are to run on; they fail where it does not open
     */
    static Found run(String tests, String device) {
        System.setProperty("warpbert.backends", device);
        System.setProperty("warpbert.require", device);
        System.setProperty("warpbert.reference.cpu", "true");
        SummaryGeneratingListener listener = new SummaryGeneratingListener();
        String name = tests.contains(".") ? tests : "org.warpbert.backend." + tests;
        LauncherFactory.create().execute(LauncherDiscoveryRequestBuilder.request()
                .selectors(name.contains("#") ? selectMethod(name) : selectClass(name)).build(), listener);
        TestExecutionSummary summary = listener.getSummary();
        summary.getFailures().forEach(failure -> System.out.println("failed: " + failure.getTestIdentifier().getUniqueId() + ": " + failure.getException()));
        Map<String, Object> figures = new LinkedHashMap<>();
        figures.put("cases", summary.getTestsFoundCount());
        figures.put("passed", summary.getTestsSucceededCount());
        figures.put("failed", summary.getTotalFailureCount());
        figures.put("skipped", summary.getTestsSkippedCount() + summary.getTestsAbortedCount());
        String detail = summary.getTestsSucceededCount() + " of " + summary.getTestsFoundCount() + " cases as they should be";
        if (summary.getTotalFailureCount() > 0) {
            var first = summary.getFailures().get(0);
            return Found.failed(detail + "; first " + first.getTestIdentifier().getDisplayName() + ": "
                    + String.valueOf(first.getException().getMessage()).lines().findFirst().orElse(""), figures);
        }
        return summary.getTestsSucceededCount() > 0 ? Found.passed(detail, figures) : Found.failed("no case ran", figures);
    }
}
