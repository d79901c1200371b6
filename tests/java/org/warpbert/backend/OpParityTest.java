package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.DynamicContainer.dynamicContainer;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.function.IntPredicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.warpbert.WarpBertException;

/**
 * Every op of warpbert.h on every backend there is, against float64 and against finite differences of itself. Outputs
 * hold NaN before, buffers stand between guards, inputs must stay as they are (see {@link OpRunner}).
 */
class OpParityTest {
    private static final OpTable TABLE = new OpTable();

    @Test
    void everyOpOfTheHeaderHasCasesAndEveryGradientDifferences() {
        Set<String> ops = new TreeSet<>(OpHeader.ops());
        assertTrue(ops.size() >= 16, "only " + ops + " were found in warpbert.h");
        assertEquals(ops, TABLE.cases.stream().map(c -> c.op).collect(Collectors.toCollection(TreeSet::new)));
        Set<String> gradients = ops.stream().filter(op -> op.endsWith("_backward")).collect(Collectors.toCollection(TreeSet::new));
        gradients.addAll(List.of("cross_entropy", "mean_squared_error", "binary_cross_entropy", "segment_cross_entropy")); // forward and backward in one
        assertEquals(gradients, TABLE.differences.stream().map(d -> d.backward().op).collect(Collectors.toCollection(TreeSet::new)));
    }

    @Test
    void casesGiveWhatTheHeaderAsksFor() {
        for (OpCase c : TABLE.cases) {
            Map<String, OpHeader.Parameter> parameters = OpHeader.parameters(c.op).stream().collect(Collectors.toMap(OpHeader.Parameter::name, p -> p));
            c.buffers.forEach((name, buffer) -> {
                assertTrue(parameters.containsKey(name), () -> c + " gives " + name + ", which is no parameter");
                assertEquals(buffer.role() == OpCase.Role.INPUT, parameters.get(name).constant(), () -> c + ": the role of " + name);
            });
        }
        for (String op : OpHeader.ops()) { // and every pointer is given by some case, so that nullable ones are not just left out
            Set<String> given = TABLE.cases.stream().filter(c -> c.op.equals(op)).flatMap(c -> c.buffers.keySet().stream()).collect(Collectors.toSet());
            OpHeader.parameters(op).stream().filter(OpHeader.Parameter::pointer)
                    .forEach(p -> assertTrue(given.contains(p.name()), () -> "no case of " + op + " gives " + p.name()));
        }
    }

    @TestFactory
    Stream<DynamicNode> agreesWithFloat64() {
        return onEveryBackend(TABLE.cases, (backend, c) -> compare(c, OpRunner.run(backend, c), Set.of()));
    }

    @TestFactory
    Stream<DynamicNode> agreesWithFloat64WhereArgumentsShareABuffer() {
        return onEveryBackend(TABLE.cases.stream().filter(c -> !c.aliases.isEmpty()).toList(), (backend, c) -> {
            for (OpCase.Alias alias : c.aliases) {
                compare(c, OpRunner.run(backend, c, alias), Set.of(alias.other()));
            }
        });
    }

    @TestFactory
    Stream<DynamicNode> backwardsAreDifferencesOfTheForward() {
        return onEveryBackend(TABLE.differences, (backend, difference) -> difference.check(backend));
    }

    @TestFactory
    Stream<DynamicNode> nonFiniteElementsReachWhatDependsOnThem() {
        return onEveryBackend(TABLE.cases.stream().filter(c -> !c.spreads.isEmpty()).toList(), (backend, c) -> {
            Map<String, byte[]> clean = OpRunner.run(backend, c);
            c.spreads.forEach(spread -> spread(backend, c, spread, clean));
        });
    }

    /** The same bits again, and on another number of threads. */
    @TestFactory
    Stream<DynamicNode> givesTheSameBits() {
        return TestBackends.available().stream().map(name -> dynamicContainer(name, TABLE.cases.stream().filter(c -> c.runsOn(name)).map(c -> dynamicTest(c.toString(), () -> {
            Map<String, byte[]> first;
            try (Backend one = Backends.open(name, 1)) {
                first = outputs(c, OpRunner.run(one, c));
            }
            for (int threads : new int[] {1, 2, 3}) {
                try (Backend again = Backends.open(name, threads)) {
                    outputs(c, OpRunner.run(again, c)).forEach((output, bits) ->
                            assertArrayEquals(first.get(output), bits, () -> output + " on " + threads + " threads"));
                }
            }
        }))));
    }

    private static <T> Stream<DynamicNode> onEveryBackend(List<T> items, BiConsumer<Backend, T> check) {
        return TestBackends.available().stream().map(name -> dynamicContainer(name, items.stream().filter(item -> caseOf(item).runsOn(name)).map(item -> dynamicTest(label(item), () -> {
            try (Backend backend = Backends.open(name, 2)) {
                check.accept(backend, item);
            }
        }))));
    }

    /** A size that a backend lacks is refused by name, not computed wrongly. */
    @TestFactory
    Stream<DynamicNode> sizesThatABackendLacksAreRefused() {
        return TestBackends.available().stream().map(name -> dynamicContainer(name, TABLE.cases.stream().filter(c -> !c.runsOn(name)).map(c -> dynamicTest(c.toString(), () -> {
            try (Backend backend = Backends.open(name, 1)) {
                String message = assertThrows(WarpBertException.class, () -> OpRunner.run(backend, c)).getMessage();
                assertTrue(message.contains("head size " + c.scalars.get("D")) && message.contains("32 and 64"), message);
            }
        }))));
    }

    private static OpCase caseOf(Object item) {
        return item instanceof Difference difference ? difference.backward() : (OpCase) item;
    }

    private static String label(Object item) {
        return caseOf(item).toString();
    }

    private static Map<String, byte[]> outputs(OpCase c, Map<String, byte[]> contents) {
        return contents.keySet().stream().filter(name -> isOutput(c, name)).collect(Collectors.toMap(Function.identity(), contents::get));
    }

    private static boolean isOutput(OpCase c, String name) {
        OpCase.Role role = c.buffers.get(name).role();
        return role != OpCase.Role.INPUT && role != OpCase.Role.SCRATCH;
    }

    /** @param overwritten outputs that another one has taken the buffer of */
    private static void compare(OpCase c, Map<String, byte[]> contents, Set<String> overwritten) {
        Map<String, double[]> expected = c.expected();
        contents.forEach((name, bytes) -> {
            if (!isOutput(c, name) || overwritten.contains(name)) {
                return;
            }
            assertTrue(expected.containsKey(name) && c.tolerances.containsKey(name), () -> c + " says nothing of " + name);
            if (c.buffers.get(name).kind() == OpCase.Kind.BITS16) {
                compareBits(c, name, bytes);
            } else {
                compareFloats(c, name, OpCase.floats(bytes));
            }
        });
    }

    private static void compareBits(OpCase c, String name, byte[] bytes) {
        double[] expected = c.expected().get(name);
        for (int i = 0; i < expected.length; i++) {
            int bits = bytes[2 * i] & 0xff | (bytes[2 * i + 1] & 0xff) << 8;
            boolean nan = c.scalars.get("y_dtype").intValue() == Dtype.F16.ordinal() ? (bits & 0x7fff) > 0x7c00 : (bits & 0x7fff) > 0x7f80;
            int element = i;
            assertTrue(expected[i] == -1 ? nan : bits == (int) expected[i],
                    () -> c + ": " + name + "[" + element + "] is " + bits + ", not " + expected[element]);
        }
    }

    /** Elements that are expected to be NaN must be; in an output they must also have kept what they held, which is NaN. */
    private static void compareFloats(OpCase c, String name, float[] actual) {
        double[] expected = c.expected().get(name).clone();
        assertEquals(expected.length, actual.length, () -> c + ": reference of " + name);
        float[] before = c.floats(name);
        double[] wide = Floats.widen(actual);
        for (int i = 0; i < expected.length; i++) {
            expected[i] += c.buffers.get(name).role() == OpCase.Role.ADDED ? before[i] : 0;
            int element = i;
            if (expected[i] == OpCase.ANY) {
                expected[i] = 0;
                wide[i] = 0;
            } else if (!Double.isFinite(expected[i])) {
                assertEquals(0, Double.compare(expected[i], wide[i]), () -> c + ": " + name + "[" + element + "] is " + wide[element] + ", not " + expected[element]);
                expected[i] = 0;
                wide[i] = 0;
            }
            assertTrue(Double.isFinite(wide[i]), () -> c + ": " + name + "[" + element + "] is " + wide[element]);
        }
        OpCase.Tolerance tolerance = c.tolerances.get(name);
        double error = tolerance.each() ? Floats.largestRelativeError(expected, wide) : Floats.relativeError(expected, wide, tolerance.size());
        if (!(error <= tolerance.relative())) {
            int worst = 0;
            for (int i = 0; i < wide.length; i++) {
                worst = Math.abs(wide[i] - expected[i]) > Math.abs(wide[worst] - expected[worst]) ? i : worst;
            }
            fail(c + ": relative error of " + name + " is " + error + ", not at most " + tolerance.relative() + " (" + tolerance.reason()
                    + "); worst is [" + worst + "], " + wide[worst] + " for " + expected[worst]);
        }
    }

    private static void spread(Backend backend, OpCase c, OpCase.Spread spread, Map<String, byte[]> clean) {
        float[] values = c.floats(spread.input());
        values[spread.element()] = spread.value();
        Map<String, byte[]> contents = OpRunner.run(backend, c.with(Map.of(spread.input(), values)));
        String what = c + " with " + spread.value() + " in " + spread.input() + "[" + spread.element() + "]: ";
        contents.forEach((name, bytes) -> {
            if (!isOutput(c, name)) {
                return;
            }
            float[] now = OpCase.floats(bytes);
            float[] then = OpCase.floats(clean.get(name));
            IntPredicate reached = spread.reached().getOrDefault(name, i -> false);
            for (int i = 0; i < now.length; i++) {
                int element = i;
                if (reached.test(i)) {
                    assertFalse(Float.isFinite(now[i]), () -> what + name + "[" + element + "] is " + now[element]);
                } else {
                    assertEquals(Float.floatToRawIntBits(then[i]), Float.floatToRawIntBits(now[i]),
                            () -> what + name + "[" + element + "] is " + now[element] + ", without it " + then[element]);
                }
            }
        });
    }
}
