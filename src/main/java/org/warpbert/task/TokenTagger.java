package org.warpbert.task;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.warpbert.text.LabelMap;
import org.warpbert.text.WordPieces;
import org.warpbert.text.Words;

/** A fine-tuned tagger of words, ready to answer. Calls from several threads take turns, for each uses the whole device. */
public final class TokenTagger implements AutoCloseable {
    static final String HEAD = "tagging head";

    private final OpenModel model;
    private final Inference<TaggingHead> inference;
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
        inference = new Inference<>(model, new TaggingHead(labels.size()));
        this.labels = labels;
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
     * @param maxLength most tokens of a sequence; what is longer is cut
     */
    public List<Tagged> predict(List<String> texts, int maxLength, int batchSize) {
        return model.inTurn(maxLength, () -> {
            Inference.requireAll("text", texts);
            List<List<Words.Span>> words = texts.stream().map(Words::of).toList();
            List<List<String>> sentences = new ArrayList<>(); // of the texts that have words
            for (int i = 0; i < texts.size(); i++) {
                String text = texts.get(i);
                if (!words.get(i).isEmpty()) {
                    sentences.add(words.get(i).stream().map(word -> text.substring(word.start(), word.end())).toList());
                }
            }
            List<List<Answer>> answers = new ArrayList<>();
            if (!sentences.isEmpty()) {
                int cut = inference.run(new WordPieces(model.tokenizer(), sentences, null, maxLength), batchSize, (pass, batch) -> {
                    float[] logits = inference.head().logits();
                    int row = 0;
                    for (int b = 0; b < batch.sequences(); b++) {
                        List<Answer> sentence = new ArrayList<>();
                        for (; row < batch.labelledRows().length && batch.labelledRows()[row] < batch.cuSeqlens()[b + 1]; row++) {
                            sentence.add(answer(logits, row));
                        }
                        answers.add(sentence);
                    }
                });
                model.count(sentences.size(), cut, Inference.cutTo(maxLength) + "; nothing is said of the words behind");
            }
            List<Tagged> tagged = new ArrayList<>(texts.size());
            int next = 0;
            for (int i = 0; i < texts.size(); i++) {
                tagged.add(tagged(texts.get(i), words.get(i), words.get(i).isEmpty() ? List.of() : answers.get(next++)));
            }
            return tagged;
        });
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
        return new Tagged(text, read, entities, answers.size() < words.size());
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
