package org.warpbert.check;

import java.util.Map;

/**
 * What a step found.
 *
 * @param detail  one line; of a failure, what is wrong
 * @param figures what was measured, by name
 */
record Found(Outcome outcome, String detail, Map<String, Object> figures) {
    enum Outcome { PASSED, FAILED, SKIPPED }

    static Found passed(String detail, Map<String, Object> figures) {
        return new Found(Outcome.PASSED, detail, figures);
    }

    static Found failed(String detail, Map<String, Object> figures) {
        return new Found(Outcome.FAILED, detail, figures);
    }

    static Found skipped(String reason) {
        return new Found(Outcome.SKIPPED, reason, Map.of());
    }
}
