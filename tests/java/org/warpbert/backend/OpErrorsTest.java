package org.warpbert.backend;

import static java.util.Map.entry;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.function.Executable;
import org.warpbert.WarpBertException;
import org.warpbert.backend.OpHeader.Parameter;

/** Bad arguments: an exception that names the op and the argument, and nothing written. */
class OpErrorsTest {
    private static final OpTable TABLE = OpTable.of(Dtype.F32);

    /** Where the header says "nullable", of calls that give everything (a {@code workspace} with its {@code dbias}). */
    private static final Map<String, Set<String>> NULLABLE = Map.ofEntries(
            entry("bias_activation_forward", Set.of("bias")),
            entry("bias_activation_backward", Set.of("bias", "dbias")),
            entry("residual_layernorm_forward", Set.of("z", "bias", "residual")),
            entry("residual_layernorm_backward", Set.of("dresidual", "dbias")),
            entry("attention_forward", Set.of("lse", "key_mask")),
            entry("attention_backward", Set.of("dbias", "key_mask")),
            entry("cross_entropy", Set.of("dlogits", "class_weights")),
            entry("mean_squared_error", Set.of("dprediction")),
            entry("binary_cross_entropy", Set.of("dlogits", "class_weights")),
            entry("segment_cross_entropy", Set.of("dlogits")),
            entry("embeddings_backward", Set.of("touched")),
            entry("gradient_norm", Set.of("touched", "loss_scale")),
            entry("adamw", Set.of("parameter_copy", "touched", "rng")));

    /** Numbers that an argument must not be, by type and name. */
    private static List<Number> wrong(Parameter parameter) {
        return switch (parameter.type() + " " + parameter.name()) {
            case "float dropout" -> List.of(1f, -0.1f, 2f, Float.NaN);
            case "float smoothing" -> List.of(-0.1f, 1.1f, Float.NaN);
            case "float beta1", "float beta2" -> List.of(1f, -0.1f, Float.NaN);
            case "float scale" -> List.of(0f, -1f, Float.NaN);
            case "int64_t max_seqlen" -> List.of(-1L, 65537L);
            case "int64_t queries" -> List.of(-1L, 0L);
            default -> parameter.type().equals("int64_t") ? List.of(-1L, Long.MIN_VALUE) : List.of();
        };
    }

    /** An op with all its arguments in memory. */
    private static final class Call implements AutoCloseable {
        final OpCase c;
        final Backend backend;
        final Map<String, DeviceMemory> memories = new LinkedHashMap<>();

        Call(Backend backend, OpCase c) {
            this.backend = backend;
            this.c = c;
            c.buffers.forEach((name, buffer) -> memories.put(name, upload(name, buffer)));
        }

        /** Every block is as large as the largest: a call that should be refused and is not must fail the test, not the JVM. */
        private DeviceMemory upload(String name, OpCase.Buffer buffer) {
            DeviceMemory memory = backend.allocate(name, c.buffers.values().stream().mapToInt(b -> b.initial().length).max().orElse(0));
            ByteBuffer direct = ByteBuffer.allocateDirect(buffer.initial().length);
            memory.upload(0, direct.put(buffer.initial()).flip());
            return memory;
        }

        Map<String, Long> addresses() {
            Map<String, Long> addresses = new HashMap<>();
            memories.forEach((name, memory) -> addresses.put(name, memory.address()));
            return addresses;
        }

        void refused(String argument, Executable call) {
            WarpBertException e = assertThrows(WarpBertException.class, call, () -> c.op + " takes a bad " + argument);
            assertTrue((e.getMessage().contains(c.op + ":") || e.getMessage().contains(OpRunner.camelCase(c.op)))
                            && e.getMessage().matches("(?s).*\\b" + argument + "\\b.*"),
                    () -> "should name " + c.op + " and " + argument + ": " + e.getMessage());
            memories.forEach((name, memory) -> {
                byte[] held = new byte[c.buffers.get(name).initial().length];
                memory.download(0, held.length).get(held);
                assertArrayEquals(c.buffers.get(name).initial(), held, () -> name + " was written all the same");
            });
        }

        @Override
        public void close() {
            memories.values().forEach(DeviceMemory::close);
        }
    }

    private interface Check {
        void of(Call call);
    }

    /** Of each op the case that gives most arguments, and drops out where it can. */
    private static Stream<DynamicTest> forEachOp(Check check) {
        return TestBackends.available().stream().flatMap(name -> OpHeader.ops().stream().map(op -> DynamicTest.dynamicTest(name + " " + op, () -> {
            OpCase fullest = TABLE.cases.stream().filter(c -> c.op.equals(op))
                    .max(Comparator.comparingInt(c -> 100 * c.buffers.size() - c.aliases.size())).orElseThrow();
            try (Backend backend = Backends.open(name, 1); Call call = new Call(backend, fullest)) {
                check.of(call);
            }
        })));
    }

    @TestFactory
    Stream<DynamicTest> nullPointersAreRefused() {
        return forEachOp(call -> {
            for (Parameter parameter : OpHeader.parameters(call.c.op)) {
                boolean nullable = parameter.name().equals("dropout_rows")
                        || NULLABLE.getOrDefault(call.c.op, Set.of()).contains(parameter.name())
                        || !call.c.buffers.containsKey(parameter.name());
                if (parameter.pointer() && !nullable) {
                    Map<String, Long> addresses = call.addresses();
                    addresses.remove(parameter.name());
                    call.refused(parameter.name(), () -> OpRunner.call(call.backend, call.c, addresses, Map.of()));
                }
            }
        });
    }

    @TestFactory
    Stream<DynamicTest> wrongNumbersAreRefused() {
        return forEachOp(call -> {
            for (Parameter parameter : OpHeader.parameters(call.c.op)) {
                for (Number number : wrong(parameter)) {
                    call.refused(parameter.name(), () -> OpRunner.call(call.backend, call.c, call.addresses(), Map.of(parameter.name(), number)));
                }
                if (parameter.type().startsWith("wb_")) {
                    for (int number : new int[] {-1, 7}) {
                        call.refused(parameter.type().substring(3), () -> OpRunner.callNative(call.backend, call.c, call.addresses(), Map.of(parameter.name(), number)));
                    }
                }
            }
        });
    }

    /** A table that is larger than the buffers, or than 32 bits count. */
    @TestFactory
    Stream<DynamicTest> tablesThatDoNotFitAreRefused() {
        return forEachOp(call -> {
            if (call.c.scalars.containsKey("R")) {
                long width = call.c.scalars.get("width").longValue();
                call.refused("R", () -> OpRunner.call(call.backend, call.c, call.addresses(), Map.of("R", (1L << 32) / width + 1)));
                if (call.c.scalars.containsKey("n")) {
                    call.refused("R", () -> OpRunner.call(call.backend, call.c, call.addresses(), Map.of("R", call.c.scalars.get("n").longValue() / width + 1)));
                }
            }
        });
    }

    /** Every pair of pointers that the header does not let be one buffer, one of them written. */
    @TestFactory
    Stream<DynamicTest> sharedBuffersAreRefused() {
        return forEachOp(call -> {
            List<Parameter> pointers = OpHeader.parameters(call.c.op).stream().filter(p -> call.c.buffers.containsKey(p.name())).toList();
            List<String> allowed = new ArrayList<>();
            call.c.aliases.forEach(alias -> allowed.addAll(List.of(alias.output() + " " + alias.other(), alias.other() + " " + alias.output())));
            for (Parameter a : pointers) {
                for (Parameter b : pointers) {
                    if (a != b && !a.constant() && a.couldAlias(b) && !allowed.contains(a.name() + " " + b.name())) {
                        Map<String, Long> addresses = call.addresses();
                        addresses.put(a.name(), addresses.get(b.name()));
                        call.refused(a.name(), () -> OpRunner.call(call.backend, call.c, addresses, Map.of()));
                    }
                }
            }
        });
    }

    /** A batch without rows is no error, and needs no memory (but for the statistics of an empty gradient). */
    @TestFactory
    Stream<DynamicTest> nothingToDoIsFine() {
        Map<String, String> rows = Map.ofEntries(entry("embeddings_forward", "T"), entry("embeddings_backward", "T"),
                entry("residual_layernorm_forward", "T"), entry("residual_layernorm_backward", "T"), entry("attention_forward", "T"),
                entry("attention_backward", "T"), entry("gather_rows_backward", "T"), entry("segment_cross_entropy", "B"),
                entry("zero_rows", "R"), entry("adamw", "n"), entry("cast", "n"));
        return forEachOp(call -> {
            if (!call.c.op.equals("gradient_norm")) {
                assertDoesNotThrow(() -> OpRunner.call(call.backend, call.c, Map.of("rng", call.addresses().getOrDefault("rng", 0L)),
                        Map.of(rows.getOrDefault(call.c.op, "N"), 0)));
            }
        });
    }

    /** The CPU computes in float32: another type is refused by name, not misread. */
    @TestFactory
    Stream<DynamicTest> typesThatTheCpuLacksAreRefused() {
        return forEachOp(call -> {
            boolean typed = OpHeader.parameters(call.c.op).stream().anyMatch(p -> p.name().equals("dtype"));
            if (typed && call.backend.name().equals("cpu")) {
                for (Dtype dtype : new Dtype[] {Dtype.F16, Dtype.BF16}) {
                    call.refused("float32", () -> OpRunner.call(call.backend, call.c, call.addresses(), Map.of("dtype", dtype.ordinal())));
                }
            }
        });
    }
}
