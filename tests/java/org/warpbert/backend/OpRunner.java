package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.warpbert.WarpBertException;
import org.warpbert.backend.OpHeader.Parameter;

/**
 * Runs a case on a backend with every buffer between guards, and checks that neither guards nor inputs were touched.
 * A guard is a signalling NaN of its buffer's own: arithmetic on it changes its bits, so a stray write of something
 * read from beyond another buffer shows too.
 */
final class OpRunner {
    private static final int GUARD = 512;

    private OpRunner() {}

    /** Contents of all buffers after the call. */
    static Map<String, byte[]> run(Backend backend, OpCase c) {
        return run(backend, c, null);
    }

    /** The same with one buffer for both arguments of {@code alias} (null: none). */
    static Map<String, byte[]> run(Backend backend, OpCase c, OpCase.Alias alias) {
        Map<String, DeviceMemory> memories = new LinkedHashMap<>();
        try {
            Map<String, Long> addresses = new HashMap<>();
            c.buffers.forEach((name, buffer) -> {
                if (alias != null && name.equals(alias.output())) {
                    return;
                }
                DeviceMemory memory = backend.allocate(name, 2L * GUARD + buffer.initial().length);
                memories.put(name, memory);
                memory.upload(0, surrounded(buffer, memories.size()));
                addresses.put(name, memory.address() + lead(buffer));
            });
            if (alias != null) {
                addresses.put(alias.output(), addresses.get(alias.other()));
            }
            call(backend, c.op, addresses, c.scalars);
            return contents(c, alias, memories);
        } finally {
            memories.values().forEach(DeviceMemory::close);
        }
    }

    /** The case with a fault: other addresses or scalars than its own. The op must not run. */
    static void call(Backend backend, OpCase c, Map<String, Long> addresses, Map<String, Number> scalars) {
        Map<String, Number> changed = new HashMap<>(c.scalars);
        changed.putAll(scalars);
        call(backend, c.op, addresses, changed);
    }

    private static void call(Backend backend, String op, Map<String, Long> addresses, Map<String, Number> scalars) {
        List<Object> arguments = new ArrayList<>();
        for (Parameter parameter : OpHeader.parameters(op)) {
            String name = parameter.name();
            arguments.add(parameter.pointer() ? addresses.getOrDefault(name, 0L) : scalar(op, parameter, scalars.get(name)));
        }
        String method = camelCase(op);
        Method java = Arrays.stream(Backend.class.getMethods()).filter(m -> m.getName().equals(method)).findFirst()
                .orElseThrow(() -> new AssertionError("Backend has no method " + method));
        invoke(java, backend, arguments.toArray());
    }

    /** The bare native function, for numbers that Java's types rule out; throws as {@link Backend} does. */
    static void callNative(Backend backend, OpCase c, Map<String, Long> addresses, Map<String, Number> scalars) {
        List<Object> arguments = new ArrayList<>(List.of(backend.context()));
        for (Parameter parameter : OpHeader.parameters(c.op)) {
            Number number = scalars.getOrDefault(parameter.name(), c.scalars.get(parameter.name()));
            arguments.add(parameter.pointer() ? addresses.getOrDefault(parameter.name(), 0L)
                    : parameter.type().startsWith("wb_") ? (Object) number.intValue() : scalar(c.op, parameter, number));
        }
        Method java = Arrays.stream(Native.class.getDeclaredMethods()).filter(m -> m.getName().equals("wb_" + c.op)).findFirst().orElseThrow();
        backend.check(c.op, (int) invoke(java, null, arguments.toArray()));
    }

    private static Object scalar(String op, Parameter parameter, Number number) {
        if (number == null) {
            throw new AssertionError("the case of " + op + " lacks " + parameter.name());
        }
        return switch (parameter.type()) {
            case "wb_dtype" -> Dtype.values()[number.intValue()];
            case "wb_activation" -> Activation.values()[number.intValue()];
            case "float" -> number.floatValue();
            case "int32_t" -> number.intValue();
            case "int64_t" -> number.longValue();
            default -> throw new AssertionError("no Java type for " + parameter.type());
        };
    }

    private static Object invoke(Method method, Object target, Object[] arguments) {
        try {
            return method.invoke(target, arguments);
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof WarpBertException known) {
                throw known;
            }
            throw new AssertionError(method + ": " + e.getCause(), e.getCause());
        } catch (IllegalAccessException | IllegalArgumentException e) {
            throw new AssertionError(method + " does not take " + Arrays.toString(arguments), e);
        }
    }

    static String camelCase(String op) {
        StringBuilder name = new StringBuilder();
        for (String word : op.split("_")) {
            name.append(name.length() == 0 ? word : Character.toUpperCase(word.charAt(0)) + word.substring(1));
        }
        return name.toString();
    }

    private static int lead(OpCase.Buffer buffer) {
        return GUARD / 2 + buffer.kind().alignment; // aligned no better than it must be
    }

    private static ByteBuffer surrounded(OpCase.Buffer buffer, int number) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(2 * GUARD + buffer.initial().length).order(ByteOrder.nativeOrder());
        while (bytes.remaining() >= Integer.BYTES) {
            bytes.putInt(guard(number));
        }
        return bytes.clear().put(lead(buffer), buffer.initial());
    }

    private static int guard(int number) {
        return 0x7fa00000 | number << 8 | number;
    }

    private static Map<String, byte[]> contents(OpCase c, OpCase.Alias alias, Map<String, DeviceMemory> memories) {
        Map<String, byte[]> contents = new LinkedHashMap<>();
        int number = 0;
        for (Map.Entry<String, DeviceMemory> entry : memories.entrySet()) {
            OpCase.Buffer buffer = c.buffers.get(entry.getKey());
            ByteBuffer after = entry.getValue().download(0, Math.toIntExact(entry.getValue().bytes()));
            ByteBuffer expected = surrounded(buffer, ++number);
            byte[] held = new byte[buffer.initial().length];
            after.get(lead(buffer), held);
            contents.put(entry.getKey(), held);
            int first = after.put(lead(buffer), buffer.initial()).mismatch(expected);
            assertEquals(-1, first, () -> c + ": byte " + (first - lead(buffer)) + " of " + entry.getKey()
                    + " was written, it has " + held.length);
            if (buffer.role() == OpCase.Role.INPUT && (alias == null || !entry.getKey().equals(alias.other()))) {
                assertArrayEquals(buffer.initial(), held, () -> c + " changed its input " + entry.getKey());
            }
        }
        if (alias != null) {
            contents.put(alias.output(), contents.get(alias.other()));
        }
        return contents;
    }
}
