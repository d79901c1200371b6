package org.warpbert.model;

import java.nio.ByteBuffer;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.memory.Arena;
import org.warpbert.memory.Loan;

/** Gradients of the parameters that are trained, one flat float32 buffer: see {@link TrainedPart}. */
public final class Gradients implements AutoCloseable {
    private final Backend backend;
    private final TrainedPart part;
    private final DeviceMemory memory;
    private final TouchedRows touched;
    private final long beforeMatrices; // elements

    /** Of all parameters. */
    public Gradients(Backend backend, ParameterTable table) {
        this(backend, new TrainedPart(table, 0));
    }

    public Gradients(Backend backend, TrainedPart part) {
        this.backend = backend;
        this.part = part;
        this.memory = backend.allocate("the gradients", plannedBytes(part));
        memory.zero(); // no word was touched; and the gaps stay 0, so that the norm may run over the whole buffer
        long[] sparse = part.sparseTable();
        this.touched = sparse == null ? TouchedRows.ALL : new TouchedRows(memory.address() + part.size() * Float.BYTES, sparse[0], sparse[1]);
        this.beforeMatrices = part.beforeMatrices();
    }

    /** Bytes that they take, with those that say which words were touched. */
    public static long plannedBytes(TrainedPart part) {
        long[] sparse = part.sparseTable();
        return part.size() * Float.BYTES + (sparse == null ? 0 : sparse[0]);
    }

    /** Clears what ops add to: tables and vectors. Matrices' gradients are written by the step's first GEMM. */
    void clear() {
        backend.zeroRows(memory.address(), touched.address(), touched.rows(), touched.width());
        long cleared = touched.elements();
        backend.zero(memory.address() + cleared * Float.BYTES, (beforeMatrices - cleared) * Float.BYTES);
    }

    /** Which rows of the word embeddings, first among what is trained, have had a gradient. */
    public TouchedRows touched() {
        return touched;
    }

    /**
     * Bytes of {@link #loan} that a backward does not write before it is done with so many trained layers from above: the
     * gradients of the others' matrices, which its products write and nobody clears. None where gaps lie between matrices, since
     * the gaps stay 0.
     *
     * @param layers trained ones below
     */
    static long lent(BertConfig config, int layers) {
        long h = config.hiddenSize();
        long i = config.intermediateSize();
        boolean gaps = h * h % ParameterTable.ALIGNMENT != 0 || h * i % ParameterTable.ALIGNMENT != 0;
        return gaps ? 0 : layers * (4 * h * h + 2 * h * i) * Float.BYTES - Arena.ALIGNMENT; // the loan begins up to so much later
    }

    /** The memory of the layers' matrices from the lowest layer that is trained on, or null: none is. */
    Loan loan() {
        return part.table().slices().stream().filter(slice -> slice.isLayerMatrix() && part.place(slice) >= 0).findFirst()
                .map(lowest -> new Loan(memory, Arena.align(part.place(lowest) * Float.BYTES))).orElse(null);
    }

    /** A byte for each word, 1 where it was touched, for {@link #touch}; none where every row counts. */
    public byte[] touchedWords() {
        byte[] words = new byte[Math.toIntExact(touched.rows())];
        if (words.length > 0) {
            memory.download(part.size() * Float.BYTES, words.length).get(words);
        }
        return words;
    }

    /** Sets what {@link #touchedWords} said. */
    public void touch(byte[] words) {
        if (words.length > 0) {
            memory.upload(part.size() * Float.BYTES, ByteBuffer.allocateDirect(words.length).put(words).flip());
            backend.synchronize();
        }
    }

    /** The parameters that have gradients. */
    public TrainedPart part() {
        return part;
    }

    /** Address of a parameter's gradient, or 0: it is frozen, and has none. */
    long address(String name) {
        long place = part.place(part.table().slice(name));
        return place < 0 ? 0 : memory.address() + place * Float.BYTES;
    }

    public long address() {
        return memory.address();
    }

    /** One parameter's gradient, row-major; an error where it is frozen. */
    public float[] get(String name) {
        ParameterTable.Slice slice = part.table().slice(name);
        long place = part.place(slice);
        if (place < 0) {
            throw new WarpBertException(name + " is frozen: it has no gradient");
        }
        return memory.downloadFloats(place, Math.toIntExact(slice.count()));
    }

    @Override
    public void close() {
        memory.close();
    }
}
