package org.warpbert.task;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.warpbert.text.LabelMap;
import org.warpbert.text.WordPieces;
import org.warpbert.text.Words;

/**
 * A fine-tuned tagger of words, ready to answer. Calls from several threads take turns, for each uses the whole device;
 * small ones that wait are computed in one batch.
 */
public final class TokenTagger implements AutoCloseable {
    static final String HEAD = "tagging head";

    final OpenModel model;
    private final SharedBatches<List<Answer>> answers; // to the words of a text
    private final LabelMap labels;

    /**
     * A part of a text with its label.
     *
     * @param score probability of the label; of an entity, the mean of its words' labels'
     * @param start where it begins in the text, in UTF-16 units as Java counts
     * @param end   where it ends, exclusive: {@code text.substring(start, end)} is what the first field holds
     */
    public record Span(String text, String label, double score, int start, int end) {}

    /**
     * What the model says of a text.
     *
     * @param words     those that were read, cut by {@link Words}
     * @param entities  what the words' tags spell; empty for labels that are no tags of entities
     * @param truncated whether words were left out behind the cut at the maximum length
     */
    public record Tagged(String text, List<Span> words, List<Span> entities, boolean truncated) {}

    private TokenTagger(OpenModel model, LabelMap labels) {
        this.model = model;
        this.labels = labels;
        TaggingHead head = new TaggingHead(labels.size());
        answers = new SharedBatches<>(model, new Inference<>(model, head), (pass, batch) -> {
            float[] logits = head.logits();
            return b -> IntStream.range(batch.labelledBefore(b), batch.labelledBefore(b + 1)).mapToObj(row -> answer(logits, row)).toList();
        });
    }

    /** {@link #load(String, Compute, Consumer)}, where nobody hears of refused memory. */
    public static TokenTagger load(String model, Compute compute) {
        return load(model, compute, line -> {});
    }

    /**
     * Opens a run folder, or any model folder with a token classification head.
     *
     * @param note receives a line where memory was refused
     */
    public static TokenTagger load(String model, Compute compute, Consumer<String> note) {
        OpenModel opened = OpenModel.load(model, compute, note, checkpoint -> {
            checkpoint.requireFor(Purpose.WORDS);
            checkpoint.labels(HEAD); // that they fit the head is known before the weights are read
            return TaggingHead.parameters(checkpoint.config(), checkpoint.classes());
        }, "complete " + HEAD);
        return new TokenTagger(opened, opened.checkpoint().labels(HEAD));
    }

    /** Labels by class number. */
    public List<String> labels() {
        return labels.labels();
    }

    /** Whether the labels are tags that spell entities. */
    public boolean findsEntities() {
        return Entities.areTags(labels.labels());
    }

    /** The longest sequence that the model has positions for. */
    public int positions() {
        return model.config().maxPositionEmbeddings();
    }

    /** Tags texts. */
    public List<Tagged> predict(List<String> texts) {
        return predict(texts, Math.min(TextClassifier.MAX_LENGTH, positions()), TextClassifier.BATCH_SIZE);
    }

    /**
     * Tags texts.
     *
     * @param maxLength most tokens of a sequence, its special ones included, 3 to {@link #positions}; what is longer is cut
     * @param batchSize most texts computed at a time, at least 1: more take more memory
     * @return as many, in order; of a text without words, one that has none
     */
    public List<Tagged> predict(List<String> texts, int maxLength, int batchSize) {
        List<String> all = Inference.requireAll("text", texts);
        List<List<Words.Span>> words = all.stream().map(Words::of).toList();
        List<List<String>> sentences = new ArrayList<>(); // of the texts that have words
        for (int i = 0; i < all.size(); i++) {
            String text = all.get(i);
            if (!words.get(i).isEmpty()) {
                sentences.add(words.get(i).stream().map(word -> text.substring(word.start(), word.end())).toList());
            }
        }
        Iterator<List<Answer>> next = answers.to(new SharedBatches.Request(new WordPieces(model.tokenizer(), sentences, null, maxLength), sentences.size(),
                Inference.cutTo(maxLength) + "; nothing is said of the words behind", maxLength, batchSize)).iterator();
        List<Tagged> tagged = new ArrayList<>(all.size());
        for (int i = 0; i < all.size(); i++) {
            tagged.add(tagged(all.get(i), words.get(i), words.get(i).isEmpty() ? List.of() : next.next()));
        }
        return tagged;
    }

    private record Answer(String label, double score) {}

    private Answer answer(float[] logits, int row) {
        int id = Evaluation.argmax(logits, row * labels.size(), labels.size());
        return new Answer(labels.label(id), TextClassifier.softmax(logits, row * labels.size(), labels.size())[id]);
    }

    private Tagged tagged(String text, List<Words.Span> words, List<Answer> answers) {
        List<Span> read = new ArrayList<>();
        for (int w = 0; w < answers.size(); w++) {
            read.add(span(text, answers.get(w).label, answers.get(w).score, words.get(w).start(), words.get(w).end()));
        }
        List<Span> entities = new ArrayList<>();
        for (Entities.Entity e : findsEntities() ? Entities.of(answers.stream().map(Answer::label).toList()) : List.<Entities.Entity>of()) {
            double score = answers.subList(e.first(), e.last() + 1).stream().mapToDouble(Answer::score).average().orElseThrow();
            entities.add(span(text, e.type(), score, words.get(e.first()).start(), words.get(e.last()).end()));
        }
        return new Tagged(text, List.copyOf(read), List.copyOf(entities), answers.size() < words.size());
    }

    private static Span span(String text, String label, double score, int start, int end) {
        return new Span(text.substring(start, end), label, score, start, end);
    }

    /** Waits for a call that is under way. */
    @Override
    public void close() {
        model.close();
    }
}
