package org.warpbert.task;

import java.util.function.Function;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Precision;
import org.warpbert.model.BertConfig;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Parameters;
import org.warpbert.model.WeightFormat;
import org.warpbert.text.WordPieceTokenizer;

/** A model folder, a device, and the model's weights on it: what every use of a finished model holds. */
final class OpenModel implements AutoCloseable {
    private final Checkpoint checkpoint;
    private final Backend backend;
    private final Parameters parameters;

    private OpenModel(Checkpoint checkpoint, Backend backend, Parameters parameters) {
        this.checkpoint = checkpoint;
        this.backend = backend;
        this.parameters = parameters;
    }

    /**
     * Opens a model whole.
     *
     * @param model folder, or name of {@link org.warpbert.hub.Hub}
     * @param table the parameters wanted of it; all must be there
     * @param what  what they are beyond the encoder, for the error where one is not
     */
    static OpenModel load(String model, String device, int threads, Precision precision, Function<Checkpoint, ParameterTable> table,
            String what) {
        Checkpoint checkpoint = Checkpoint.open(model);
        Backend backend = null;
        try {
            ParameterTable wanted = table.apply(checkpoint);
            backend = Backends.open(device, threads);
            WeightFormat format = new WeightFormat(precision.on(backend).dtype(), false);
            return new OpenModel(checkpoint, backend, checkpoint.loadAll(backend, wanted, format, what));
        } catch (RuntimeException e) {
            if (backend != null) {
                backend.close();
            }
            checkpoint.close();
            throw e;
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

    @Override
    public void close() {
        parameters.close();
        backend.close();
        checkpoint.close();
    }
}
