package org.warpbert.bench;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.warpbert.backend.Backend;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.Dtype;

/** Blocks of a device that live as long as one measurement; what an op works on, by address. */
final class Tensors implements AutoCloseable {
    private static final int CHUNK = 1 << 20; // floats

    private final Backend backend;
    private final List<DeviceMemory> blocks = new ArrayList<>();
    private final ByteBuffer random = ByteBuffer.allocateDirect(CHUNK * Float.BYTES).order(ByteOrder.nativeOrder());

    Tensors(Backend backend) {
        this.backend = backend;
        SplittableRandom source = new SplittableRandom(7);
        FloatBuffer floats = random.asFloatBuffer();
        while (floats.hasRemaining()) {
            floats.put((float) source.nextDouble(-1, 1));
        }
    }

    /** {@code count} floats, evenly from -1 to 1. */
    long floats(long count) {
        DeviceMemory block = block(count * Float.BYTES);
        for (long at = 0; at < count; at += CHUNK) {
            random.clear().limit((int) Math.min(CHUNK, count - at) * Float.BYTES);
            block.upload(at * Float.BYTES, random);
        }
        return block.address();
    }

    /** As {@link #floats(long)}, rounded to a type. */
    long of(Dtype dtype, long count) {
        if (dtype == Dtype.F32) {
            return floats(count);
        }
        DeviceMemory block = block(count * dtype.bytes());
        try (Tensors exact = new Tensors(backend)) {
            backend.cast(block.address(), dtype, exact.floats(count), Dtype.F32, count);
            backend.synchronize();
        }
        return block.address();
    }

    long floats(float... values) {
        DeviceMemory block = block((long) values.length * Float.BYTES);
        block.upload(values);
        return block.address();
    }

    long ints(int[] values) {
        DeviceMemory block = block((long) values.length * Integer.BYTES);
        block.upload(values);
        return block.address();
    }

    long longs(long... values) {
        DeviceMemory block = block((long) values.length * Long.BYTES);
        ByteBuffer staging = ByteBuffer.allocateDirect(values.length * Long.BYTES).order(ByteOrder.nativeOrder());
        staging.asLongBuffer().put(values);
        block.upload(0, staging);
        return block.address();
    }

    long bytes(byte[] values) {
        DeviceMemory block = block(values.length);
        block.upload(0, ByteBuffer.allocateDirect(values.length).put(values).flip());
        return block.address();
    }

    /** All bytes 0. */
    long zeros(long bytes) {
        DeviceMemory block = block(bytes);
        block.zero();
        return block.address();
    }

    private DeviceMemory block(long bytes) {
        DeviceMemory block = backend.allocate("a measured op", bytes);
        blocks.add(block);
        return block;
    }

    @Override
    public void close() {
        blocks.forEach(DeviceMemory::close);
    }
}
