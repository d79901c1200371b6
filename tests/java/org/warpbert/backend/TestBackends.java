package org.warpbert.backend;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.warpbert.WarpBertException;

/**
 * The backends that tests of ops, and of memory that is refused, run on: every one that opens here. The CPU must; {@code -Dwarpbert.require=cuda}
 * (names separated by commas) makes another one's absence a failure rather than silence, {@code -Dwarpbert.backends=cuda}
 * leaves all others out, the CPU too.
 */
public final class TestBackends {
    private static final List<String> NAMES = List.of("cpu", "simt", "cuda");

    private TestBackends() {}

    public static List<String> available() {
        List<String> names = new ArrayList<>(listed("warpbert.backends"));
        Set<String> required = new TreeSet<>(listed("warpbert.require"));
        if (names.isEmpty()) {
            names.addAll(NAMES);
            required.add("cpu");
        }
        required.stream().filter(name -> !names.contains(name)).forEach(names::add);
        List<String> available = new ArrayList<>();
        for (String name : names) {
            try (Backend backend = Backends.open(name, 1)) {
                available.add(backend.name());
            } catch (WarpBertException e) {
                if (required.contains(name)) {
                    throw new AssertionError("tests of " + name + " are required, but it does not open: " + e.getMessage(), e);
                }
            }
        }
        return available;
    }

    private static List<String> listed(String property) {
        return Arrays.stream(System.getProperty(property, "").split(",")).map(String::strip).filter(name -> !name.isEmpty()).toList();
    }
}
