package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
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
    private static final OpTable TABLE = OpTable.of(Dtype.F32);
    private static final List<OpTable> HALVES = List.of(OpTable.of(Dtype.F16), OpTable.of(Dtype.BF16));

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
        return onEveryBackend(TABLE.cases, (backend, c) -> OpComparison.floats(c, OpRunner.run(backend, c), Set.of()));
    }

    @TestFactory
    Stream<DynamicNode> agreesWithFloat64WhereArgumentsShareABuffer() {
        return onEveryBackend(TABLE.cases.stream().filter(c -> !c.aliases.isEmpty()).toList(), (backend, c) -> {
            for (OpCase.Alias alias : c.aliases) {
                OpComparison.floats(c, OpRunner.run(backend, c, alias), Set.of(alias.other()));
            }
        });
    }

    /** Every op that has a type, in 16 bits, where the backend computes in them; also with arguments that share a buffer. */
    @TestFactory
    Stream<DynamicNode> agreesInSixteenBits() {
        Map<String, OpCase> exact = TABLE.cases.stream().filter(OpCase::typed).collect(Collectors.toMap(OpCase::toString, c -> c));
        return HALVES.stream().flatMap(table -> {
            assertEquals(exact.keySet(), table.cases.stream().map(c -> c.op + " " + c.label).collect(Collectors.toSet()));
            return onEveryBackend(table.cases, (backend, c) -> {
                OpCase reference = exact.get(c.op + " " + c.label);
                OpComparison.half(c, reference, OpRunner.run(backend, c), Set.of());
                for (OpCase.Alias alias : c.aliases) {
                    OpComparison.half(c, reference, OpRunner.run(backend, c, alias), Set.of(alias.other()));
                }
            });
        });
    }

    @TestFactory
    Stream<DynamicNode> backwardsAreDifferencesOfTheForward() {
        return onEveryBackend(TABLE.differences, (backend, difference) -> difference.check(backend));
    }

    @TestFactory
    Stream<DynamicNode> nonFiniteElementsReachWhatDependsOnThem() {
        return Stream.concat(Stream.of(TABLE), HALVES.stream()).flatMap(table -> onEveryBackend(table.cases.stream().filter(c -> !c.spreads.isEmpty()).toList(), (backend, c) -> {
            Map<String, byte[]> clean = OpRunner.run(backend, c);
            c.spreads.forEach(spread -> spread(backend, c, spread, clean));
        }));
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
        return contents.keySet().stream().filter(name -> OpComparison.isOutput(c, name)).collect(Collectors.toMap(Function.identity(), contents::get));
    }

    private static void spread(Backend backend, OpCase c, OpCase.Spread spread, Map<String, byte[]> clean) {
        float[] values = c.floats(spread.input());
        values[spread.element()] = spread.value();
        Map<String, byte[]> contents = OpRunner.run(backend, c.with(Map.of(spread.input(), values)));
        String what = c + " with " + spread.value() + " in " + spread.input() + "[" + spread.element() + "]: ";
        contents.forEach((name, bytes) -> {
            if (!OpComparison.isOutput(c, name)) {
                return;
            }
            float[] now = c.floats(name, bytes);
            float[] then = c.floats(name, clean.get(name));
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
