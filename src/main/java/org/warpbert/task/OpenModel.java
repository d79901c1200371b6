package org.warpbert.task;

import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.memory.ByteSize;
import org.warpbert.memory.MemoryBudget;
import org.warpbert.memory.Retry;
import org.warpbert.model.BertConfig;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Parameters;
import org.warpbert.model.WeightFormat;
import org.warpbert.text.WordPieceTokenizer;

/** A model folder, a device, and the model's weights on it: what every use of a finished model holds. */
final class OpenModel implements AutoCloseable {
    private final String name;
    private final Checkpoint checkpoint;
    private final Backend backend;
    private final Parameters parameters;
    private final Consumer<String> note;
    private long read;
    private long cut;
    private String truncation;
    private final ReentrantLock turn = new ReentrantLock(true); // a monitor would let one thread starve the others, and hold up virtual ones
    private Runnable closeFirst = () -> {};
    private volatile boolean closed; // changes in a turn

    private OpenModel(String name, Checkpoint checkpoint, Backend backend, Parameters parameters, Consumer<String> note) {
        this.name = name;
        this.checkpoint = checkpoint;
        this.backend = backend;
        this.parameters = parameters;
        this.note = note;
    }

    /**
     * Opens a model whole.
     *
     * @param model folder, or name of {@link org.warpbert.hub.Hub}
     * @param note receives a line where memory was refused
     * @param table the parameters wanted of it; all must be there
     * @param what  what they are beyond the encoder, for the error where one is not
     */
    static OpenModel load(String model, Compute compute, Consumer<String> note, Function<Checkpoint, ParameterTable> table, String what) {
        Objects.requireNonNull(compute, "compute");
        Objects.requireNonNull(note, "note");
        Checkpoint checkpoint = Checkpoint.open(model);
        Backend backend = null;
        try {
            ParameterTable wanted = table.apply(checkpoint);
            Backend opened = Backends.open(compute.device(), compute.threads(), compute.precision());
            backend = opened;
            MemoryBudget budget = MemoryBudget.limit(opened, compute.memory());
            WeightFormat format = new WeightFormat(opened.dtype(), false);
            requireRoom(model, format.bytes(wanted), budget, opened);
            return new OpenModel(model, checkpoint, opened, Retry.once(() -> checkpoint.loadAll(opened, wanted, format, what), note), note);
        } catch (RuntimeException | Error e) {
            if (backend != null) {
                backend.close();
            }
            checkpoint.close();
            throw e;
        }
    }

    private static void requireRoom(String model, long weights, MemoryBudget budget, Backend backend) {
        if (weights > backend.freeBytes()) {
            throw new WarpBertException(model + " does not fit in " + ByteSize.format(budget.total()) + ": its weights take "
                    + ByteSize.format(weights) + ", the process " + ByteSize.format(budget.overhead()) + "; what would do: more memory than "
                    + ByteSize.option(weights + backend.allocatedBytes() + budget.overhead()) + " (--memory)");
        }
    }

    BertConfig config() {
        return checkpoint.config();
    }

    WordPieceTokenizer tokenizer() {
        return checkpoint.tokenizer();
    }

    Checkpoint checkpoint() {
        return checkpoint;
    }

    Backend backend() {
        return backend;
    }

    Parameters parameters() {
        return parameters;
    }

    /** Who hears that memory was refused, or texts cut. */
    Consumer<String> note() {
        return note;
    }

    /** What needs no turn, such as tokenising: any number of threads do theirs at once. For sequences of up to {@code maxLength} tokens. */
    <T> T prepare(int maxLength, Supplier<T> work) {
        check(maxLength);
        try {
            return work.get();
        } catch (WarpBertException e) {
            check(maxLength); // closed meanwhile: the tokenizer speaks of itself alone
            throw e;
        }
    }

    /** Fails where the model is closed, or has no positions for sequences of this length. */
    void check(int maxLength) {
        if (closed) {
            throw new WarpBertException("the model " + name + " is used after it was closed");
        }
        checkpoint.checkLength(maxLength);
    }

    /** Computes when it is this thread's turn, in the order in which threads came, with sequences of up to {@code maxLength} tokens. */
    <T> T inTurn(int maxLength, Supplier<T> work) {
        turn.lock();
        try {
            check(maxLength);
            return work.get();
        } finally {
            turn.unlock();
        }
    }

    /** What is to be closed before this is. */
    void closeFirst(Runnable users) {
        closeFirst = users;
    }

    /** Counts what was read and what of it was cut; {@code how}, the last, is for {@link #close} to say. */
    void count(long texts, long ofThemCut, String how) {
        read += texts;
        cut += ofThemCut;
        truncation = how;
    }

    /** Waits for its turn, closes once, and says how many texts were cut, where any was. */
    @Override
    public void close() {
        turn.lock();
        try {
            if (!closed) {
                closed = true;
                try (checkpoint; backend; parameters) { // from the last, and all of them, whatever a broken device says
                    closeFirst.run();
                }
                if (cut > 0) {
                    note.accept(String.format(Locale.ROOT, "%,d of %,d texts are %s", cut, read, truncation));
                }
            }
        } finally {
            turn.unlock();
        }
    }
}
