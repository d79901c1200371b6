package org.warpbert.task;

import java.util.ArrayList;
import java.util.List;
import java.util.PriorityQueue;
import java.util.stream.IntStream;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.model.BertModel;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Parameters;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;

/** Guesses the words behind [MASK]. One thread at a time. */
public final class FillMask implements AutoCloseable {
    private final Checkpoint checkpoint;
    private final Backend backend;
    private final Parameters parameters;

    /** A piece of the vocabulary and its probability at a masked place. */
    public record Candidate(String token, int id, double probability) {}

    private FillMask(Checkpoint checkpoint, Backend backend, Parameters parameters) {
        this.checkpoint = checkpoint;
        this.backend = backend;
        this.parameters = parameters;
    }

    /** Opens a model with a masked language model's head. */
    public static FillMask load(String model, String device, int threads) {
        Checkpoint checkpoint = Checkpoint.open(model);
        Backend backend = null;
        try {
            ParameterTable table = ParameterTable.bert(checkpoint.config()).maskedLanguageModel().build();
            backend = Backends.open(device, threads);
            return new FillMask(checkpoint, backend, checkpoint.loadAll(backend, table, "masked language model head"));
        } catch (RuntimeException e) {
            if (backend != null) {
                backend.close();
            }
            checkpoint.close();
            throw e;
        }
    }

    /** The {@code top} likeliest pieces for each [MASK] of the text, in order, likeliest first. */
    public List<List<Candidate>> fill(String text, String pair, int top) {
        if (top < 1) {
            throw new WarpBertException("--top is " + top + ", it must be at least 1");
        }
        Encoded encoded = checkpoint.tokenizer().encode(text, pair, checkpoint.config().maxPositionEmbeddings());
        int mask = checkpoint.tokenizer().maskId();
        int[] rows = IntStream.range(0, encoded.length()).filter(t -> encoded.tokens()[t] == mask).toArray();
        if (rows.length == 0) {
            throw new WarpBertException("the text has no " + checkpoint.tokenizer().token(mask) + " to fill"
                    + (encoded.truncated() ? " in its first " + encoded.length() + " tokens" : "") + ": " + text);
        }
        try (DeviceMemory deviceRows = backend.allocate("the masked rows", (long) rows.length * Integer.BYTES)) {
            deviceRows.upload(rows);
            MaskedWordHead head = new MaskedWordHead(deviceRows, rows.length);
            try (BertModel model = new BertModel(backend, checkpoint.config(), parameters, null, head, encoded.length(), 1)) {
                model.forward(PackedBatch.of(List.of(encoded), null));
                float[] logits = head.logits();
                List<List<Candidate>> result = new ArrayList<>();
                for (int n = 0; n < rows.length; n++) {
                    result.add(top(logits, n * checkpoint.config().vocabSize(), top));
                }
                return result;
            }
        }
    }

    private List<Candidate> top(float[] logits, int from, int top) {
        int vocabulary = checkpoint.config().vocabSize();
        double[] probabilities = TextClassifier.softmax(logits, from, vocabulary);
        PriorityQueue<Integer> best = new PriorityQueue<>((a, b) -> probabilities[a] != probabilities[b]
                ? Double.compare(probabilities[a], probabilities[b]) : Integer.compare(b, a));
        for (int id = 0; id < vocabulary; id++) {
            best.add(id);
            if (best.size() > top) {
                best.remove();
            }
        }
        List<Candidate> result = new ArrayList<>();
        while (!best.isEmpty()) {
            int id = best.remove();
            result.add(0, new Candidate(checkpoint.tokenizer().token(id), id, probabilities[id]));
        }
        return result;
    }

    @Override
    public void close() {
        parameters.close();
        backend.close();
        checkpoint.close();
    }
}
