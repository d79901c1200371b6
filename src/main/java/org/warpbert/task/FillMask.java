package org.warpbert.task;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.PriorityQueue;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.warpbert.WarpBertException;
import org.warpbert.text.Encoded;
import org.warpbert.text.Instance;
import org.warpbert.text.InstanceSource;
import org.warpbert.text.PackedBatch;

/**
 * Guesses the words behind [MASK]. Calls from several threads take turns, for each uses the whole device;
 * those that wait and have few masks are computed in one batch.
 */
public final class FillMask implements AutoCloseable {
    private static final int SHOWN = 80; // characters of a text in a message

    final OpenModel model;
    private final SharedBatches<float[]> logits; // of a text's masks [m, V]

    /** A piece of the vocabulary and its probability at a masked place. */
    public record Candidate(String token, int id, double probability) {}

    private FillMask(OpenModel model) {
        this.model = model;
        int vocabulary = model.config().vocabSize();
        MaskedWordHead head = new MaskedWordHead(false, Math.max(MaskedWordHead.CHUNK, positions()));
        logits = new SharedBatches<>(model, new Inference<>(model, head, true), (pass, batch) -> {
            float[] all = head.wordLogits();
            return b -> Arrays.copyOfRange(all, batch.labelledBefore(b) * vocabulary, batch.labelledBefore(b + 1) * vocabulary);
        });
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

    /** The {@code top} likeliest pieces for each [MASK] of the text and its pair (or null), in order, likeliest first. */
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
     * @param pair      the second text, or null
     * @param top       at least 1
     * @param maxLength most tokens of the sequence, its special ones included, 3 to {@link #positions}; what is longer is cut
     * @throws org.warpbert.WarpBertException also where the text has no [MASK], or none before the cut
     */
    public List<List<Candidate>> fill(String text, String pair, int top, int maxLength) {
        if (top < 1) {
            throw new WarpBertException("the number of candidates (--top) is " + top + ", it must be at least 1");
        }
        Inference.requireAll("text", Collections.singletonList(text));
        Encoded encoded = model.prepare(maxLength, () -> model.tokenizer().encode(text, pair, maxLength));
        int mask = model.tokenizer().maskId();
        int[] labels = Arrays.stream(encoded.tokens()).map(token -> token == mask ? 0 : PackedBatch.IGNORE).toArray(); // whatever class: it makes the logits
        Instance masked = Instance.ofTokens(encoded, labels);
        int masks = masked.labelled();
        if (masks == 0) {
            throw new WarpBertException("the text has no " + model.tokenizer().token(mask) + " to fill"
                    + (encoded.truncated() ? " in its first " + encoded.length() + " tokens" : "") + ": "
                    + (text.length() > SHOWN ? text.substring(0, SHOWN) + "..." : text));
        }
        // of as many such calls, the logits are in memory at once: see MaskedWordDecoder.logits
        int together = Math.max(1, Math.min(TextClassifier.BATCH_SIZE, MaskedWordHead.CHUNK / masks));
        float[] rows = logits.to(new SharedBatches.Request(InstanceSource.of(List.of(masked)), maxLength, together)).get(0);
        return IntStream.range(0, masks).mapToObj(m -> top(rows, m * model.config().vocabSize(), top)).toList();
    }

    private List<Candidate> top(float[] values, int from, int top) {
        int vocabulary = model.config().vocabSize();
        double[] probabilities = TextClassifier.softmax(values, from, vocabulary);
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
