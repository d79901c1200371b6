package org.warpbert.bench;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import org.warpbert.backend.Backend;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.Dtype;

/** Blocks of a device that live as long as one measurement; what an op works on, by address. */
final class Tensors implements AutoCloseable {
    private static final int CHUNK = 1 << 20; // floats

    private final Backend backend;
    private final List<DeviceMemory> blocks = new ArrayList<>();
    private final ByteBuffer random = ByteBuffer.allocateDirect(CHUNK * Float.BYTES).order(ByteOrder.nativeOrder());

    /** @param backend null: nothing is allocated and every address is 0, for ops that are described and not run */
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
        return block(count * Float.BYTES, block -> {
            for (long at = 0; at < count; at += CHUNK) {
                random.clear().limit((int) Math.min(CHUNK, count - at) * Float.BYTES);
                block.upload(at * Float.BYTES, random);
            }
        });
    }

    /** As {@link #floats(long)}, rounded to a type. */
    long of(Dtype dtype, long count) {
        if (dtype == Dtype.F32) {
            return floats(count);
        }
        return block(count * dtype.bytes(), block -> {
            try (Tensors exact = new Tensors(backend)) {
                backend.cast(block.address(), dtype, exact.floats(count), Dtype.F32, count);
                backend.synchronize();
            }
        });
    }

    long floats(float... values) {
        return block((long) values.length * Float.BYTES, block -> block.upload(values));
    }

    long ints(int[] values) {
        return block((long) values.length * Integer.BYTES, block -> block.upload(values));
    }

    long longs(long... values) {
        ByteBuffer staging = ByteBuffer.allocateDirect(values.length * Long.BYTES).order(ByteOrder.nativeOrder());
        staging.asLongBuffer().put(values);
        return block((long) values.length * Long.BYTES, block -> block.upload(0, staging));
    }

    long bytes(byte[] values) {
        return block(values.length, block -> block.upload(0, ByteBuffer.allocateDirect(values.length).put(values).flip()));
    }

    /** All bytes 0. */
    long zeros(long bytes) {
        return block(bytes, DeviceMemory::zero);
    }

    private long block(long bytes, Consumer<DeviceMemory> fill) {
        if (backend == null) {
            return 0;
        }
        DeviceMemory block = backend.allocate("a measured op", bytes);
        blocks.add(block);
        fill.accept(block);
        return block.address();
    }

    @Override
    public void close() {
        blocks.forEach(DeviceMemory::close);
    }
}
