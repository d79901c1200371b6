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
 * One answer to each example, for callers in any number of threads. Calls take turns, in the order in which they came; whose turn it is
 * computes those that wait in its own batch while there is room, for a batch of a few short texts takes hardly longer than one.
 */
final class SharedBatches<A> {
    private final OpenModel opened;
    private final Inference<?> inference;
    private final BiFunction<BertModel, PackedBatch, IntFunction<A>> reader;
    private final Queue<Call<A>> waiting = new ConcurrentLinkedQueue<>();

    /** @param reader after the forward of a batch: its examples' answers by their number; what needs no device is better left to the caller */
    SharedBatches(OpenModel opened, Inference<?> inference, BiFunction<BertModel, PackedBatch, IntFunction<A>> reader) {
        this.opened = opened;
        this.inference = inference;
        this.reader = reader;
    }

    /**
     * What is asked.
     *
     * @param examples  of any number; encoded in a turn, perhaps another thread's
     * @param texts     how many these are to a user, who hears at the end how many were cut
     * @param cut       what becomes of those that are too long, to the user
     * @param maxLength most tokens of a sequence
     * @param batchSize most examples in a batch, of this call and others
     */
    record Request(InstanceSource examples, int texts, String cut, int maxLength, int batchSize) {
        /** Of examples that are each a text to a user, and cut at the end. */
        Request(InstanceSource examples, int maxLength, int batchSize) {
            this(examples, examples.size(), Inference.cutTo(maxLength), maxLength, batchSize);
        }
    }

    /** A thread's request; the thread that computes it fills the rest. */
    private static final class Call<A> {
        private final Request request;
        private final List<A> answers;
        private boolean alone; // a batch that it shared has failed; changes in a turn

        Call(Request request) {
            this.request = request;
            this.answers = new ArrayList<>(size());
        }

        int size() {
            return request.examples.size();
        }
    }

    /**
     * Answers texts or pairs of texts.
     *
     * @param pairs second texts, as many as texts, or null
     */
    List<A> to(List<String> texts, List<String> pairs, int maxLength, int batchSize) {
        List<String> first = Inference.requireAll("text", texts);
        List<String> second = pairs == null ? null : Inference.requireAll("second text", pairs);
        if (second != null && second.size() != first.size()) {
            throw new WarpBertException(first.size() + " texts were given " + second.size() + " second texts");
        }
        List<Example> examples = IntStream.range(0, first.size())
                .mapToObj(i -> new Example(i + 1L, first.get(i), second == null ? null : second.get(i), null)).toList();
        return to(new Request(new LabelledTexts(opened.tokenizer(), examples, null, maxLength), maxLength, batchSize));
    }

    /** Answers examples, in order. */
    List<A> to(Request request) {
        if (request.batchSize < 1) {
            throw new WarpBertException("the batch size (--batch-size) is " + request.batchSize + ", it must be at least 1");
        }
        opened.check(request.maxLength); // before another thread could take it up
        Call<A> call = new Call<>(request);
        waiting.add(call);
        try {
            opened.inTurn(request.maxLength, () -> {
                if (waiting.remove(call)) { // else another thread has computed it
                    compute(call);
                }
                return null;
            });
        } finally {
            waiting.remove(call);
        }
        return call.answers;
    }

    /**
     * Computes a call, and with it those that wait and fit into its batch. Where that fails, each is computed again by its own thread, alone:
     * a caller is told of its own texts, not of another's.
     */
    private void compute(Call<A> own) {
        if (own.size() == 0) {
            return;
        }
        List<Call<A>> calls = new ArrayList<>(List.of(own));
        int size = own.size();
        int most = own.request.batchSize;
        for (Iterator<Call<A>> others = waiting.iterator(); !own.alone && size < most && others.hasNext(); ) {
            Call<A> other = others.next();
            int larger = size + other.size();
            if (!other.alone && other.size() > 0 && larger <= most && larger <= other.request.batchSize) {
                others.remove();
                calls.add(other);
                size = larger;
                most = Math.min(most, other.request.batchSize);
            }
        }
        List<Call<A>> owners = calls.stream().flatMap(call -> Collections.nCopies(call.size(), call).stream()).toList();
        Iterator<Call<A>> next = owners.iterator(); // of examples
        try {
            Joined joined = new Joined(calls.stream().map(call -> call.request.examples).toList(), owners.size());
            int cut = inference.run(joined, own.request.batchSize, (pass, batch) -> {
                IntFunction<A> answers = reader.apply(pass, batch);
                for (int e = 0; e < batch.examples(); e++) {
                    next.next().answers.add(answers.apply(e));
                }
            });
            opened.count(calls.stream().mapToLong(call -> call.request.texts).sum(), cut, own.request.cut);
        } catch (RuntimeException | Error e) {
            if (calls.size() == 1) {
                throw e;
            }
            for (Call<A> call : calls) {
                call.answers.clear();
                call.alone = true;
            }
            waiting.addAll(calls.subList(1, calls.size()));
            compute(own);
        }
    }

    /** The examples of several calls, one behind the other. */
    private record Joined(List<InstanceSource> parts, int size) implements InstanceSource {
        /** @param rows ascend */
        @Override
        public List<Instance> encode(int[] rows) {
            List<Instance> encoded = new ArrayList<>(rows.length);
            int from = 0;
            for (InstanceSource part : parts) {
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
