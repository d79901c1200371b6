package org.warpbert.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.warpbert.WarpBertException;

/**
 * Questions with their contexts as sequences {@code [CLS] question [SEP] context [SEP]}. A context too long for one is seen
 * through windows that begin {@code stride} tokens apart (Devlin et al. 2019's code). Each window is an example with two
 * labels: the rows, counted from its [CLS], of the first and last token of the question's first answer that stands in the
 * context; row 0 twice where the window does not hold it whole or the context does not tell; {@link PackedBatch#IGNORE}
 * where the answer's place is not known.
 */
public final class AnswerWindows implements InstanceSource {
    private final WordPieceTokenizer tokenizer;
    private final List<Question> questions;
    private final List<int[]> asked; // pieces of each question, all of them
    private final Map<String, Located> contexts = new IdentityHashMap<>();
    private final int maxQuestion;
    private final List<Window> windows = new ArrayList<>();

    /**
     * What a sequence shows.
     *
     * @param question number of the question
     * @param first    row, counted from the sequence's [CLS], of the first context token
     * @param from     number of that token in its context
     * @param to       number of the token after the last one shown
     */
    public record Window(int question, int first, int from, int to) {}

    /**
     * Tokenises everything.
     *
     * @param maxLength   most tokens of a sequence, special tokens included
     * @param stride      context tokens from the beginning of a window to that of the next, at least 1
     * @param maxQuestion most tokens of a question; a longer one is cut
     * @throws WarpBertException naming a question that leaves no room for its context
     */
    public AnswerWindows(WordPieceTokenizer tokenizer, List<Question> questions, int maxLength, int stride, int maxQuestion) {
        this.tokenizer = tokenizer;
        this.questions = List.copyOf(questions);
        this.maxQuestion = maxQuestion;
        this.asked = tokenizer.ids(questions.stream().map(Question::text).toList());
        locateContexts();
        for (int q = 0; q < questions.size(); q++) {
            int first = Math.min(asked.get(q).length, maxQuestion) + 2;
            int room = maxLength - first - 1;
            if (room < 1) {
                throw new WarpBertException("Question " + questions.get(q).id() + " leaves no room for its context in " + maxLength
                        + " tokens; raise the maximum length (--max-length) or lower the question's (--max-query-length).");
            }
            int length = context(q).length();
            int from = 0;
            for (; from + room < length; from += Math.min(stride, room)) {
                windows.add(new Window(q, first, from, from + room));
            }
            windows.add(new Window(q, first, from, length));
        }
    }

    private void locateContexts() {
        questions.forEach(question -> contexts.put(question.context(), null));
        List<String> texts = List.copyOf(contexts.keySet());
        List<Located> located = tokenizer.locate(texts);
        for (int i = 0; i < texts.size(); i++) {
            contexts.put(texts.get(i), located.get(i));
        }
    }

    @Override
    public int size() {
        return windows.size();
    }

    /** What the example of this number shows. A question's windows are neighbours, in the order of the context. */
    public Window window(int row) {
        return windows.get(row);
    }

    public List<Question> questions() {
        return questions;
    }

    /** The pieces of a question's context. */
    public Located context(int question) {
        return contexts.get(questions.get(question).context());
    }

    @Override
    public List<Instance> encode(int[] rows) {
        List<Instance> instances = new ArrayList<>(rows.length);
        for (int row : rows) {
            Window window = windows.get(row);
            instances.add(Instance.of(sequence(window), labels(window)));
        }
        return instances;
    }

    /** Marked as cut where the question is, once for each question. */
    private Encoded sequence(Window window) {
        int[] question = asked.get(window.question);
        int shown = window.to - window.from;
        int[] tokens = new int[window.first + shown + 1];
        byte[] segments = new byte[tokens.length];
        tokens[0] = tokenizer.clsId();
        System.arraycopy(question, 0, tokens, 1, window.first - 2);
        tokens[window.first - 1] = tokenizer.sepId();
        System.arraycopy(context(window.question).ids(), window.from, tokens, window.first, shown);
        tokens[tokens.length - 1] = tokenizer.sepId();
        Arrays.fill(segments, window.first, segments.length, (byte) 1);
        return new Encoded(tokens, segments, window.from == 0 && question.length > maxQuestion);
    }

    private int[] labels(Window window) {
        Question question = questions.get(window.question);
        if (!question.answerable()) {
            return new int[] {0, 0};
        }
        Question.Answer answer = question.located();
        int[] span = answer == null ? null : tokens(context(window.question), answer.start(), answer.end());
        if (span == null) {
            return new int[] {PackedBatch.IGNORE, PackedBatch.IGNORE};
        }
        boolean whole = window.from <= span[0] && span[1] < window.to;
        return whole ? new int[] {window.first + span[0] - window.from, window.first + span[1] - window.from} : new int[] {0, 0};
    }

    /** The first and the last token that share a character with {@code start} … {@code end - 1}; null where none does. */
    private static int[] tokens(Located context, int start, int end) {
        int first = 0;
        while (first < context.length() && context.ends()[first] <= start) {
            first++;
        }
        int last = context.length() - 1;
        while (last >= 0 && context.starts()[last] >= end) {
            last--;
        }
        return first <= last ? new int[] {first, last} : null;
    }
}
