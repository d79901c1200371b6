package org.warpbert.format;

import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.warpbert.WarpBertException;

/** Named float tensors in a file or folder, whatever its format. Reads may run in parallel. Closing twice is fine. */
public interface TensorSource extends AutoCloseable {

    /** Every float tensor's shape, in the order of the file; row-major, as {@link #read} gives it. */
    Map<String, long[]> shapes();

    /**
     * Reads one tensor as float32, row-major, to {@code dst} from its position on, and advances it.
     *
     * @param dst at least as many floats remaining as the tensor has elements
     * @throws org.warpbert.WarpBertException naming tensor, file and shape: no such tensor, too small a buffer, damaged file
     */
    void read(String name, FloatBuffer dst);

    /** Where the tensors are, for messages. */
    String location();

    @Override
    void close();

    /** Whether there is a tensor of this name. */
    default boolean contains(String name) {
        return shapes().containsKey(name);
    }

    /** The shape of a tensor that must be there. */
    default long[] shape(String name) {
        long[] shape = shapes().get(name);
        if (shape != null) return shape;
        List<String> near = shapes().keySet().stream().filter(n -> n.endsWith(name.substring(name.lastIndexOf('.') + 1))).limit(3).toList();
        throw new WarpBertException("There is no tensor " + name + " in " + location() + " (" + shapes().size() + " tensors"
                + (near.isEmpty() ? "" : ", among them " + String.join(", ", near)) + ").");
    }

    /** Reads a tensor that must have this shape; a different one is an error that shows both. */
    default void read(String name, long[] shape, FloatBuffer dst) {
        long[] found = shape(name);
        if (!Arrays.equals(found, shape))
            throw new WarpBertException("Tensor " + name + " in " + location() + " has shape " + Arrays.toString(found)
                    + ", but the model needs " + Arrays.toString(shape) + ".");
        read(name, dst);
    }

    /** Number of elements of a shape (1 for a scalar). */
    static long elements(long[] shape) {
        long n = 1;
        for (long size : shape) n = Math.multiplyExact(n, size);
        return n;
    }
}
