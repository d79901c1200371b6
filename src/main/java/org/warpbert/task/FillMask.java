package org.warpbert.task;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.PriorityQueue;
import java.util.function.Consumer;
import org.warpbert.WarpBertException;
import org.warpbert.model.PlannedModel;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.Encoded;
import org.warpbert.text.Instance;
import org.warpbert.text.PackedBatch;

/** Guesses the words behind [MASK]. Calls from several threads take turns, for each uses the whole device. */
public final class FillMask implements AutoCloseable {
    private final OpenModel model;

    /** A piece of the vocabulary and its probability at a masked place. */
    public record Candidate(String token, int id, double probability) {}

    private FillMask(OpenModel model) {
        this.model = model;
    }

    /** {@link #load(String, Compute, Consumer)}, where nobody hears of refused memory. */
    public static FillMask load(String model, Compute compute) {
        return load(model, compute, line -> {});
    }

    /**
     * Opens a model with a masked language model's head.
     *
     * @param note receives a line where memory was refused
     */
    public static FillMask load(String model, Compute compute, Consumer<String> note) {
        return new FillMask(OpenModel.load(model, compute, note,
                checkpoint -> MaskedWordHead.parameters(checkpoint.config(), false), "masked language model head"));
    }

    /** The {@code top} likeliest pieces for each [MASK] of the text, in order, likeliest first. */
    public List<List<Candidate>> fill(String text, String pair, int top) {
        return fill(text, pair, top, positions());
    }

    /** The longest sequence that the model has positions for. */
    public int positions() {
        return model.config().maxPositionEmbeddings();
    }

    /**
     * As {@link #fill(String, String, int)}.
     *
     * @param maxLength most tokens of the sequence; what is longer is cut
     */
    public List<List<Candidate>> fill(String text, String pair, int top, int maxLength) {
        return model.inTurn(maxLength, () -> {
            if (top < 1) {
                throw new WarpBertException("--top is " + top + ", it must be at least 1");
            }
            Inference.requireAll("text", Collections.singletonList(text));
            Encoded encoded = model.tokenizer().encode(text, pair, maxLength);
            model.count(1, encoded.truncated() ? 1 : 0, Inference.cutTo(maxLength));
            int mask = model.tokenizer().maskId();
            int[] chosen = Arrays.stream(encoded.tokens()).map(token -> token == mask ? 0 : PackedBatch.IGNORE).toArray();
            PackedBatch batch = PackedBatch.of(List.of(Instance.ofTokens(encoded, chosen)));
            if (batch.labelledRows().length == 0) {
                throw new WarpBertException("the text has no " + model.tokenizer().token(mask) + " to fill"
                        + (encoded.truncated() ? " in its first " + encoded.length() + " tokens" : "") + ": " + text);
            }
            MaskedWordHead head = new MaskedWordHead(false, batch.labelledRows().length);
            List<List<Candidate>> result = new ArrayList<>();
            try (PlannedModel planned = PlannedModel.inference(model.backend(), model.config(), model.parameters(), head, BatchSizes.of(batch), model.note())) {
                planned.infer(batch, true, (pass, part) -> { // of whatever loss: it makes the logits
                    float[] logits = head.wordLogits();
                    for (int m = 0; m < part.labelledRows().length; m++) {
                        result.add(top(logits, m * model.config().vocabSize(), top));
                    }
                });
            }
            return result;
        });
    }

    private List<Candidate> top(float[] logits, int from, int top) {
        int vocabulary = model.config().vocabSize();
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
            result.add(0, new Candidate(model.tokenizer().token(id), id, probabilities[id]));
        }
        return result;
    }

    /** Waits for a call that is under way. */
    @Override
    public void close() {
        model.close();
    }
}
