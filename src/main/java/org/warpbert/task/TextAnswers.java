package org.warpbert.task;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.BiFunction;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.warpbert.WarpBertException;
import org.warpbert.model.BertModel;
import org.warpbert.text.Example;
import org.warpbert.text.Instance;
import org.warpbert.text.InstanceSource;
import org.warpbert.text.LabelledTexts;
import org.warpbert.text.PackedBatch;

/**
 * One answer to each text, for callers in any number of threads. Calls take turns, in the order in which they came; whose turn it is
 * computes those that wait in its own batch while there is room, for a batch of a few short texts takes hardly longer than one.
 */
final class TextAnswers<A> {
    private final OpenModel opened;
    private final Inference<?> inference;
    private final BiFunction<BertModel, PackedBatch, IntFunction<A>> reader;
    private final Queue<Call<A>> waiting = new ConcurrentLinkedQueue<>();

    /** @param reader after the forward of a batch: its sequences' answers by their number */
    TextAnswers(OpenModel opened, Inference<?> inference, BiFunction<BertModel, PackedBatch, IntFunction<A>> reader) {
        this.opened = opened;
        this.inference = inference;
        this.reader = reader;
    }

    /** What a thread asks for; the thread that computes it fills the rest. */
    private static final class Call<A> {
        private final LabelledTexts texts; // null: none
        private final int maxLength;
        private final int batchSize;
        private final List<A> answers;
        private WarpBertException failure; // of the thread that computed this and its own

        Call(LabelledTexts texts, int maxLength, int batchSize) {
            this.texts = texts;
            this.maxLength = maxLength;
            this.batchSize = batchSize;
            this.answers = new ArrayList<>(size());
        }

        int size() {
            return texts == null ? 0 : texts.size();
        }
    }

    /**
     * Answers texts or pairs of texts.
     *
     * @param pairs     second texts, as many as texts, or null
     * @param maxLength most tokens of a sequence; what is longer is cut
     * @param batchSize most texts in a batch, of this call and others
     */
    List<A> to(List<String> texts, List<String> pairs, int maxLength, int batchSize) {
        Inference.requireAll("text", texts);
        if (pairs != null) {
            Inference.requireAll("second text", pairs);
            if (pairs.size() != texts.size()) {
                throw new WarpBertException(texts.size() + " texts were given " + pairs.size() + " second texts");
            }
        }
        opened.checkpoint().checkLength(maxLength);
        List<Example> examples = IntStream.range(0, texts.size())
                .mapToObj(i -> new Example(i + 1L, texts.get(i), pairs == null ? null : pairs.get(i), null)).toList();
        Call<A> call = new Call<>(examples.isEmpty() ? null : new LabelledTexts(opened.tokenizer(), examples, null, maxLength), maxLength, batchSize);
        waiting.add(call);
        try {
            opened.inTurn(maxLength, () -> {
                if (waiting.remove(call)) { // else another thread has computed it
                    compute(call);
                }
                return null;
            });
        } finally {
            waiting.remove(call);
        }
        if (call.failure != null) {
            throw call.failure;
        }
        return call.answers;
    }

    /** Computes a call, and with it those that wait and fit into its batch. */
    private void compute(Call<A> own) {
        if (own.texts == null) {
            return;
        }
        List<Call<A>> calls = new ArrayList<>(List.of(own));
        int size = own.size();
        int most = own.batchSize;
        for (Iterator<Call<A>> others = waiting.iterator(); size < most && others.hasNext(); ) {
            Call<A> other = others.next();
            int larger = size + other.size();
            if (other.texts != null && larger <= most && larger <= other.batchSize) {
                others.remove();
                calls.add(other);
                size = larger;
                most = Math.min(most, other.batchSize);
            }
        }
        List<Call<A>> owners = calls.stream().flatMap(call -> Collections.nCopies(call.size(), call).stream()).toList();
        Iterator<Call<A>> next = owners.iterator(); // of sequences
        try {
            int cut = inference.run(new Joined(calls.stream().map(call -> call.texts).toList(), owners.size()), own.batchSize, (pass, batch) -> {
                IntFunction<A> answers = reader.apply(pass, batch);
                for (int b = 0; b < batch.sequences(); b++) {
                    next.next().answers.add(answers.apply(b));
                }
            });
            opened.count(owners.size(), cut, Inference.cutTo(own.maxLength));
        } catch (RuntimeException | Error e) {
            calls.forEach(call -> call.failure = new WarpBertException("failed in one batch with another thread's texts: " + e.getMessage(), e));
            throw e;
        }
    }

    /** The texts of several calls, one behind the other. */
    private record Joined(List<LabelledTexts> parts, int size) implements InstanceSource {
        /** @param rows ascend */
        @Override
        public List<Instance> encode(int[] rows) {
            List<Instance> encoded = new ArrayList<>(rows.length);
            int from = 0;
            for (LabelledTexts part : parts) {
                int first = from;
                int end = first + part.size();
                int[] its = Arrays.stream(rows).filter(row -> first <= row && row < end).map(row -> row - first).toArray();
                if (its.length > 0) {
                    encoded.addAll(part.encode(its));
                }
                from = end;
            }
            return encoded;
        }
    }
}
