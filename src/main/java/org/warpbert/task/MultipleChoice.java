package org.warpbert.task;

import java.util.List;
import java.util.function.Consumer;
import org.warpbert.text.Candidates;
import org.warpbert.text.ChoiceQuestion;

/**
 * A model that chooses among candidates, ready to be asked. Calls from several threads take turns, for each uses the whole device;
 * small ones that wait are computed in one batch.
 */
public final class MultipleChoice implements AutoCloseable {
    final OpenModel model;
    private final SharedBatches<Answer> answers;

    /**
     * What was chosen.
     *
     * @param choice number of the candidate, 0 the first
     * @param score  its probability among the question's candidates
     * @param scores probabilities of all candidates, in order
     */
    public record Answer(int choice, double score, double[] scores) {}

    private MultipleChoice(OpenModel model) {
        this.model = model;
        ChoiceHead head = new ChoiceHead();
        answers = new SharedBatches<>(model, new Inference<>(model, head), (pass, batch) -> {
            float[] scores = head.scores();
            return e -> answer(scores, batch.cuExamples()[e], batch.cuExamples()[e + 1]);
        });
    }

    /** {@link #load(String, Compute, Consumer)}, where nobody hears of refused memory. */
    public static MultipleChoice load(String model, Compute compute) {
        return load(model, compute, line -> {});
    }

    /**
     * Opens a run folder, or any model folder with a multiple choice head.
     *
     * @param note receives a line where memory was refused
     */
    public static MultipleChoice load(String model, Compute compute, Consumer<String> note) {
        return new MultipleChoice(OpenModel.load(model, compute, note, checkpoint -> {
            checkpoint.requireFor(Purpose.CHOICE);
            return ChoiceHead.parameters(checkpoint.config());
        }, "multiple choice head"));
    }

    /** The longest sequence that the model has positions for. */
    public int positions() {
        return model.config().maxPositionEmbeddings();
    }

    /** Chooses one candidate for each question. */
    public List<Answer> choose(List<ChoiceQuestion> questions) {
        return choose(questions, Math.min(TextClassifier.MAX_LENGTH, positions()), TextClassifier.BATCH_SIZE);
    }

    /**
     * Chooses one candidate for each question.
     *
     * @param maxLength most tokens of a candidate with its question, special ones included, 3 to {@link #positions}; what is longer is cut
     * @param batchSize most questions computed at a time, at least 1: more take more memory
     * @return as many, in order
     */
    public List<Answer> choose(List<ChoiceQuestion> questions, int maxLength, int batchSize) {
        List<ChoiceQuestion> asked = Inference.requireAll("question", questions);
        return answers.to(new SharedBatches.Request(new Candidates(model.tokenizer(), asked, maxLength), maxLength, batchSize));
    }

    /** From the scores of the candidates {@code from} to {@code to - 1}. */
    private static Answer answer(float[] logits, int from, int to) {
        double[] scores = TextClassifier.softmax(logits, from, to - from);
        int choice = Evaluation.argmax(logits, from, scores.length);
        return new Answer(choice, scores[choice], scores);
    }

    /** Waits for a call that is under way. */
    @Override
    public void close() {
        model.close();
    }
}
