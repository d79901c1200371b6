package org.warpbert.backend;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.function.Supplier;

/**
 * One call of an op: an argument for every parameter of the header, by name, and what must come out. Expectations are
 * float64 and computed when first asked for, so that a table of cases is cheap to make.
 */
final class OpCase {
    /** What an op does with a buffer; see the conventions of warpbert.h. */
    enum Role { INPUT, OUTPUT, ADDED, UPDATED, SCRATCH }

    /** A buffer's element type, with the least alignment that callers give it: slices of parameters have 64 bytes. */
    enum Kind {
        F32(64), BITS16(64), INT32(4), INT64(8), BYTE(1);

        final int alignment;

        Kind(int alignment) {
            this.alignment = alignment;
        }
    }

    /** @param initial the bytes before the call; a NaN in every float of an output or scratch */
    record Buffer(Role role, Kind kind, byte[] initial) {}

    /**
     * @param relative bound of ‖out - expected‖ / ‖expected‖; 0: equal
     * @param reason   where the bound comes from
     * @param size     what the error is relative to where it is more than ‖expected‖: of the terms that cancel
     * @param each     whether the bound is each element's own, because they are different things
     */
    record Tolerance(double relative, String reason, double size, boolean each) {}

    /** Expected of an element of which the header says nothing. */
    static final double ANY = Double.MAX_VALUE;

    /** {@code value} in one element of an input; every listed output's elements that must be non-finite; all others keep their bits. */
    record Spread(String input, int element, float value, Map<String, IntPredicate> reached) {}

    /** Two arguments that the header lets be one buffer; {@code other}'s contents are what the buffer holds before. */
    record Alias(String output, String other) {}

    /** Whether a backend has this case's type (the CPU: float32) and sizes: the CUDA kernels of attention are made for two head sizes. */
    boolean runsOn(String backend) {
        return backend.equals("cpu") ? dtype == Dtype.F32 : !op.startsWith("attention") || Set.of(32, 64).contains(scalars.get("D").intValue());
    }

    final String op;
    final String label;
    final Map<String, Buffer> buffers = new LinkedHashMap<>();
    final Map<String, Number> scalars = new LinkedHashMap<>();
    final Map<String, Tolerance> tolerances = new LinkedHashMap<>();
    final List<Spread> spreads = new ArrayList<>();
    final List<Alias> aliases = new ArrayList<>();
    private Dtype dtype = Dtype.F32; // of 16-bit buffers
    private Supplier<Map<String, double[]>> reference = Map::of;
    private Map<String, double[]> known = Map.of();
    private Map<String, double[]> expected;
    private boolean byCpu;

    private OpCase(String op, String label) {
        this.op = op;
        this.label = label;
    }

    /** Starts a case; {@code dtype} is float32 unless said otherwise, and every pointer not given is NULL. */
    static OpCase of(String op, String label) {
        OpCase made = new OpCase(op, label);
        if (OpHeader.parameters(op).stream().anyMatch(p -> p.name().equals("dtype"))) {
            made.scalars.put("dtype", Dtype.F32.ordinal());
        }
        return made;
    }

    OpCase input(String name, float... values) {
        return put(name, Role.INPUT, Kind.F32, bytes(values));
    }

    OpCase input(String name, int... values) {
        ByteBuffer bytes = buffer(values.length * Integer.BYTES);
        bytes.asIntBuffer().put(values);
        return put(name, Role.INPUT, Kind.INT32, bytes.array());
    }

    OpCase input(String name, long... values) {
        ByteBuffer bytes = buffer(values.length * Long.BYTES);
        bytes.asLongBuffer().put(values);
        return put(name, Role.INPUT, Kind.INT64, bytes.array());
    }

    OpCase input(String name, byte... values) {
        return put(name, Role.INPUT, Kind.BYTE, values.clone());
    }

    OpCase input(String name, short... bits) {
        ByteBuffer bytes = buffer(bits.length * Short.BYTES);
        bytes.asShortBuffer().put(bits);
        return put(name, Role.INPUT, Kind.BITS16, bytes.array());
    }

    /** A buffer that is written, whatever it held; NaN is what it holds. */
    OpCase output(String name, int count) {
        return put(name, Role.OUTPUT, Kind.F32, bytes(Floats.filled(count, Float.NaN)));
    }

    /** As {@link #output}, of 16-bit elements. */
    OpCase output16(String name, int count) {
        byte[] nan = new byte[2 * count];
        Arrays.fill(nan, (byte) 0x7f); // a NaN in float16 and in bfloat16
        return put(name, Role.OUTPUT, Kind.BITS16, nan);
    }

    /** A buffer that is added to. */
    OpCase added(String name, float... seed) {
        return put(name, Role.ADDED, Kind.F32, bytes(seed));
    }

    OpCase updated(String name, float... values) {
        return put(name, Role.UPDATED, Kind.F32, bytes(values));
    }

    /** As {@link #updated(String, float...)}, of bytes. */
    OpCase updated(String name, byte[] values) {
        return put(name, Role.UPDATED, Kind.BYTE, values.clone());
    }

    /** As {@link #updated(String, float...)}, of 16-bit elements. */
    OpCase updated16(String name, byte[] bits) {
        return put(name, Role.UPDATED, Kind.BITS16, bits.clone());
    }

    OpCase scratch(String name, int count) {
        return put(name, Role.SCRATCH, Kind.F32, bytes(Floats.filled(count, Float.NaN)));
    }

    OpCase scalar(String name, Number value) {
        scalars.put(name, value);
        return this;
    }

    /** What {@code expect} must compute: each output's values by name; an ADDED buffer's are what is added. */
    OpCase reference(Supplier<Map<String, double[]>> computed) {
        reference = computed;
        return this;
    }

    /** Outputs that hold whoever computes the others: they depend on how the type of this case rounds, as float32's do not. */
    OpCase known(Map<String, double[]> outputs) {
        known = outputs;
        return this;
    }

    /** Float32 sums of {@code terms} terms, after or before a few roundings and a function of a few ulp. */
    OpCase rounding(int terms, String... outputs) {
        double unit = 6e-8;
        for (String output : outputs) {
            tolerance(output, unit * (4 + Math.sqrt(terms)), "unit roundoff 6e-8, about sqrt(" + terms + ") of it for the sum");
        }
        return this;
    }

    OpCase exact(String... outputs) {
        for (String output : outputs) {
            tolerance(output, 0, "nothing is computed");
        }
        return this;
    }

    OpCase tolerance(String output, double relative, String reason) {
        tolerances.put(output, new Tolerance(relative, reason, 0, false));
        return this;
    }

    /** As {@link #tolerance}, for each element by itself. */
    OpCase toleranceOfEach(String output, double relative, String reason) {
        tolerances.put(output, new Tolerance(relative, reason, 0, true));
        return this;
    }

    /** Of outputs whose terms, of norm {@code size}, cancel. */
    OpCase cancelling(double size, String... outputs) {
        for (String output : outputs) {
            tolerances.computeIfPresent(output, (name, t) -> new Tolerance(t.relative, t.reason + ", relative to " + size, size, t.each));
        }
        return this;
    }

    OpCase spread(String input, int element, float value, Map<String, IntPredicate> reached) {
        spreads.add(new Spread(input, element, value, reached));
        return this;
    }

    OpCase alias(String output, String other) {
        aliases.add(new Alias(output, other));
        return this;
    }

    /** Whether the op has tensors of a type that the call names, other than {@code cast}, which names two. */
    boolean typed() {
        return scalars.containsKey("dtype") || scalars.containsKey("copy_dtype");
    }

    /** The same call with tensors of 16 bits; float buffers hold values of that type already. */
    OpCase in(Dtype type) {
        OpCase copy = copy();
        copy.dtype = type;
        copy.scalars.put(scalars.containsKey("dtype") ? "dtype" : "copy_dtype", type.ordinal());
        OpHeader.parameters(op).stream().filter(p -> p.type().endsWith("void*") && buffers.containsKey(p.name()) && !isMoment(p.name())).forEach(p -> {
            Buffer buffer = buffers.get(p.name());
            copy.buffers.put(p.name(), new Buffer(buffer.role, Kind.BITS16, Half.of(type).bytes(floats(buffer.initial))));
        });
        copy.tolerances.putAll(tolerances);
        copy.spreads.addAll(spreads);
        copy.aliases.addAll(aliases);
        copy.reference = reference;
        copy.known = known;
        return copy;
    }

    /** AdamW's moments have a type of their own. */
    private boolean isMoment(String name) {
        return op.equals("adamw") && (name.equals("m") || name.equals("v"));
    }

    private OpCase copy() {
        OpCase copy = new OpCase(op, label);
        copy.dtype = dtype;
        copy.buffers.putAll(buffers);
        copy.scalars.putAll(scalars);
        return copy;
    }

    /** The same call with other contents of some float buffers; nothing is expected of it. */
    OpCase with(Map<String, float[]> contents) {
        OpCase copy = copy();
        contents.forEach((name, values) -> copy.buffers.put(name, new Buffer(buffers.get(name).role, buffers.get(name).kind,
                isHalf(name) ? Half.of(dtype).bytes(values) : bytes(values))));
        return copy;
    }

    /** Whether a buffer holds floats of 16 bits. */
    boolean isHalf(String name) {
        return dtype != Dtype.F32 && buffers.get(name).kind == Kind.BITS16;
    }

    Dtype dtype() {
        return dtype;
    }

    Map<String, double[]> expected() {
        if (expected == null) {
            try {
                expected = reference.get();
            } catch (NoClassDefFoundError e) {
                if (!CpuReference.mayReplace(e)) {
                    throw e;
                }
                expected = CpuReference.of(this);
                byCpu = true;
            }
            expected = new HashMap<>(expected);
            expected.putAll(known);
        }
        return expected;
    }

    /** What an output's relative error may be: where what is expected has float32's roundings itself, twice the bound. */
    double allowed(String output) {
        expected();
        return tolerances.get(output).relative * (byCpu ? 2 : 1);
    }

    /** The same call in float32, on the values that the buffers hold; what is added to is 0. */
    OpCase inFloat32() {
        OpCase copy = copy();
        copy.dtype = Dtype.F32;
        copy.scalars.computeIfPresent("dtype", (name, type) -> Dtype.F32.ordinal());
        copy.scalars.computeIfPresent("copy_dtype", (name, type) -> Dtype.F32.ordinal());
        buffers.forEach((name, buffer) -> {
            if (buffer.role == Role.ADDED) {
                copy.buffers.put(name, new Buffer(buffer.role, Kind.F32, bytes(new float[floats(name).length])));
            } else if (isHalf(name)) {
                copy.buffers.put(name, new Buffer(buffer.role, Kind.F32, bytes(floats(name))));
            }
        });
        return copy;
    }

    float[] floats(String name) {
        return floats(name, buffers.get(name).initial);
    }

    /** What such bytes mean in a buffer of this call. */
    float[] floats(String name, byte[] bytes) {
        if (buffers.get(name).kind == Kind.BYTE) {
            float[] values = new float[bytes.length];
            for (int i = 0; i < values.length; i++) {
                values[i] = bytes[i];
            }
            return values;
        }
        return isHalf(name) ? Half.of(dtype).floats(bytes) : floats(bytes);
    }

    static float[] floats(byte[] bytes) {
        float[] values = new float[bytes.length / Float.BYTES];
        ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder()).asFloatBuffer().get(values);
        return values;
    }

    static byte[] bytes(float... values) {
        ByteBuffer bytes = buffer(values.length * Float.BYTES);
        bytes.asFloatBuffer().put(values);
        return bytes.array();
    }

    private static ByteBuffer buffer(int bytes) {
        return ByteBuffer.allocate(bytes).order(ByteOrder.nativeOrder());
    }

    private OpCase put(String name, Role role, Kind kind, byte[] initial) {
        buffers.put(name, new Buffer(role, kind, initial));
        return this;
    }

    @Override
    public String toString() {
        return op + " " + label + (dtype == Dtype.F32 ? "" : " " + dtype);
    }
}
