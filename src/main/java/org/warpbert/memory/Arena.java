package org.warpbert.memory;

import java.io.DataInput;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.Dtype;
import org.warpbert.backend.HostMemory;

/**
 * Named tensors in one allocation. First the table is made with {@link #add}; its {@link #bytes} are known before
 * anything is allocated; {@link #allocate} then takes exactly those, once, and every address comes from the table. Beside them
 * a block of the host's memory is taken, {@link #hostBytes}, through which tensors come to the host piece by piece.
 */
public final class Arena implements AutoCloseable {
    public static final int ALIGNMENT = 256;
    private static final long STAGING = 64 << 10; // a loss is read at once; for more a copy's start is lost in its time

    private final String name;
    private final List<Tensor> tensors = new ArrayList<>();
    private long bytes;
    private long borrowed; // bytes
    private Backend backend;
    private DeviceMemory memory;
    private boolean closed;
    private Loan loan;
    private HostMemory staging;

    public Arena(String name) {
        this.name = name;
    }

    /** A row of the table: a tensor at a fixed place of the arena. */
    public final class Tensor {
        private final String tensorName;
        private final Dtype dtype;
        private final long[] shape;
        private final boolean lent;
        private final long offset; // in the arena's own memory, or in the loan
        private final long size;

        /** @param lendable bytes of the loan that it may stand in */
        private Tensor(String tensorName, Dtype dtype, long[] shape, long lendable) {
            this.tensorName = tensorName;
            this.dtype = dtype;
            this.shape = shape.clone();
            long elements = 1;
            for (long extent : shape) {
                elements = Math.multiplyExact(elements, extent);
            }
            this.size = Math.multiplyExact(elements, (long) dtype.bytes());
            this.lent = borrowed + size <= lendable;
            this.offset = lent ? borrowed : bytes;
        }

        public String name() {
            return tensorName;
        }

        /** Bytes of the elements, the padding to the next tensor not counted. */
        public long bytes() {
            return size;
        }

        /** Bytes that the arena takes for it, up to the next tensor; none where it stands in borrowed memory. */
        long taken() {
            return lent ? 0 : align(size);
        }

        /** Where the tensor is in the backend's memory; an error before {@link Arena#allocate} and after close. */
        public long address() {
            return owner().address() + at(0);
        }

        private void requireMemory() {
            if (memory == null || closed) {
                throw new WarpBertException(name + ": " + tensorName + " is used while the arena holds no memory");
            }
        }

        private void check(int count) {
            requireMemory();
            if (count > size) {
                throw new WarpBertException(name + ": " + count + " bytes do not fit " + this + " of " + size);
            }
        }

        private DeviceMemory owner() {
            requireMemory();
            return lent ? loan.memory() : memory;
        }

        /** Where a byte of it is in its owner's memory. */
        private long at(long index) {
            return (lent ? loan.offset() : 0) + offset + index;
        }

        /** The first {@code count} elements, on the host, as floats. */
        public float[] downloadFloats(int count) {
            if ((long) count * dtype.bytes() > size) {
                throw new WarpBertException(tensorName + " holds " + size / dtype.bytes() + " elements, not " + count);
            }
            DeviceMemory owner = owner();
            float[] values = new float[count];
            int most = staging.buffer().capacity() / dtype.bytes();
            for (int from = 0; from < count; from += most) {
                int part = Math.min(most, count - from);
                owner.download(at((long) from * dtype.bytes()), staging, part * dtype.bytes());
                dtype.toFloats(staging.buffer().clear().limit(part * dtype.bytes()), FloatBuffer.wrap(values, from, part));
            }
            return values;
        }

        /** Copies the first {@code count} elements to byte {@code at} of host memory; see {@link DeviceMemory#downloadAsync}. */
        public void downloadAsync(int count, HostMemory target, int at) {
            if ((long) count * dtype.bytes() > size) {
                throw new WarpBertException(tensorName + " holds " + size / dtype.bytes() + " elements, not " + count);
            }
            owner().downloadAsync(at(0), count * dtype.bytes(), target, at);
        }

        /** Sets all elements of a float32 tensor; waits until they are there. */
        public void upload(float[] values) {
            DeviceMemory owner = owner();
            if (dtype != Dtype.F32 || (long) values.length * Float.BYTES != size) {
                throw new WarpBertException(values.length + " floats are not the elements of " + this);
            }
            int most = staging.buffer().capacity() / Float.BYTES;
            for (int from = 0; from < values.length; from += most) {
                int part = Math.min(most, values.length - from);
                staging.buffer().clear().asFloatBuffer().put(values, from, part);
                owner.upload(at((long) from * Float.BYTES), staging, part * Float.BYTES);
                backend.synchronize(); // the block is to be written again
            }
        }

        /** Writes all its bytes as they are. */
        public void write(OutputStream to) throws IOException {
            requireMemory();
            byte[] bytes = new byte[staging.buffer().capacity()];
            for (long from = 0; from < size; from += bytes.length) {
                int part = (int) Math.min(bytes.length, size - from);
                owner().download(at(from), staging, part);
                staging.buffer().clear().get(bytes, 0, part);
                to.write(bytes, 0, part);
            }
        }

        /** Sets all its bytes to what {@link #write} wrote. */
        public void read(DataInput from) throws IOException {
            requireMemory();
            byte[] bytes = new byte[staging.buffer().capacity()];
            for (long done = 0; done < size; done += bytes.length) {
                int part = (int) Math.min(bytes.length, size - done);
                from.readFully(bytes, 0, part);
                staging.buffer().clear().put(bytes, 0, part);
                owner().upload(at(done), staging, part);
                backend.synchronize(); // the block is to be written again
            }
        }

        @Override
        public String toString() {
            return tensorName + " " + dtype + Arrays.toString(shape);
        }
    }

    /** Adds a row to the table. Only before {@link #allocate}. */
    public Tensor add(String tensorName, Dtype dtype, long... shape) {
        return addLent(-1, tensorName, dtype, shape);
    }

    /**
     * Adds a row whose tensor stands in the first {@code lendable} bytes of a loan, behind those that stand there already; in the
     * arena's own memory where it does not fit.
     */
    public Tensor addLent(long lendable, String tensorName, Dtype dtype, long... shape) {
        if (memory != null) {
            throw new WarpBertException(name + " is allocated; " + tensorName + " comes too late");
        }
        Tensor tensor = new Tensor(tensorName, dtype, shape, lendable);
        tensors.add(tensor);
        bytes = Math.addExact(bytes, tensor.taken());
        borrowed += tensor.lent ? align(tensor.size) : 0;
        return tensor;
    }

    /** Up to the next place where a tensor may stand. */
    public static long align(long size) {
        return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    /** Takes the memory that the table asks for, which is all its own. */
    public void allocate(Backend owner) {
        allocate(owner, null);
    }

    /** @param lender of what {@link #addLent} placed with it; it must outlive this arena. Null where that is nothing */
    public void allocate(Backend owner, Loan lender) {
        if (borrowed > 0 && lender == null) {
            throw new WarpBertException(name + " is to borrow " + borrowed + " bytes, of nobody");
        }
        if (memory != null) {
            throw new WarpBertException(name + " is allocated already");
        }
        DeviceMemory taken = owner.allocate(name, bytes);
        try {
            staging = owner.allocateHost(name, Math.toIntExact(hostBytes()));
        } catch (RuntimeException e) {
            taken.close();
            throw e;
        }
        backend = owner;
        memory = taken;
        loan = lender;
    }

    /** Copies the first {@code count} bytes of host memory to the start of a tensor; see {@link HostMemory} for when it may be written again. */
    public void upload(Tensor tensor, HostMemory source, int count) {
        tensor.check(count);
        tensor.owner().upload(tensor.at(0), source, count);
    }

    /** Copies the first {@code count} bytes of a tensor to the start of host memory, and waits until they are there. */
    public void download(Tensor tensor, HostMemory target, int count) {
        tensor.check(count);
        tensor.owner().download(tensor.at(0), target, count);
    }

    /** What {@link #allocate} takes of the device, or took. */
    public long bytes() {
        return bytes;
    }

    /** What it takes of the host. */
    public long hostBytes() {
        return Math.min(STAGING, bytes);
    }

    public String name() {
        return name;
    }

    public List<Tensor> tensors() {
        return Collections.unmodifiableList(tensors);
    }

    @Override
    public void close() {
        if (memory != null) {
            memory.close();
            staging.close();
            closed = true;
        }
    }
}
