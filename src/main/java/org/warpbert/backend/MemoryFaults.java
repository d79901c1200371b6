package org.warpbert.backend;

import java.util.Map;
import java.util.TreeMap;
import org.warpbert.WarpBertException;

/**
 * Makes a device run out of memory on purpose, to test what happens then. Without these properties nothing does:
 * {@code -Dwarpbert.fail-alloc=N} refuses a backend's Nth request for memory, once; {@code -Dwarpbert.device-memory=BYTES,N:BYTES,…}
 * is a script of a device that shrinks (or grows): the bytes it has at first, then from its Nth request on.
 */
final class MemoryFaults {
    static final String FAIL = "warpbert.fail-alloc";
    static final String SCRIPT = "warpbert.device-memory";

    /** Of a device that is still being opened: none. */
    static final MemoryFaults NONE = new MemoryFaults("0", null);

    private final long failing;
    private final TreeMap<Long, Long> script = new TreeMap<>();
    private long requests;

    /** What the properties say now. */
    static MemoryFaults ofProperties() {
        return new MemoryFaults(System.getProperty(FAIL, "0"), System.getProperty(SCRIPT));
    }

    private MemoryFaults(String fail, String steps) {
        failing = number(FAIL, fail);
        if (steps != null) {
            for (String step : steps.split(",")) {
                int colon = step.indexOf(':');
                script.put(colon < 0 ? 0 : number(SCRIPT, step.substring(0, colon)), number(SCRIPT, step.substring(colon + 1)));
            }
        }
    }

    private static long number(String property, String text) {
        try {
            return Long.parseLong(text.strip());
        } catch (NumberFormatException e) {
            throw new WarpBertException("-D" + property + " holds '" + text + "', which is no number", e);
        }
    }

    /** Counts a request. @return whether it is to fail whatever is free */
    boolean fails() {
        return ++requests == failing;
    }

    /** Bytes that the device has by the script; without one, {@code actual}. */
    long capacity(long actual) {
        Map.Entry<Long, Long> now = script.floorEntry(requests);
        return now == null ? actual : Math.min(actual, now.getValue());
    }
}
