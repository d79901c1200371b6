package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.warpbert.text.AnswerWindows;
import org.warpbert.text.PackedBatch;
import org.warpbert.text.Question;
import org.warpbert.text.WordPieceTokenizer;

/** What logits mean, on logits chosen by hand. */
class AnswerSpansTest {
    private final List<String> letters = IntStream.rangeClosed('a', 'h').mapToObj(Character::toString).toList();
    private WordPieceTokenizer tokenizer;

    @BeforeEach
    void open() {
        List<String> vocabulary = new ArrayList<>(List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"));
        vocabulary.addAll(letters);
        tokenizer = new WordPieceTokenizer(vocabulary, true);
    }

    @AfterEach
    void close() {
        tokenizer.close();
    }

    /** Windows over "a … h" of 3 context tokens, 2 apart, after the one-token question: context from row 3. */
    private AnswerWindows windows() {
        return new AnswerWindows(tokenizer, List.of(new Question("q", 0, "h", "a b c d e f g h", List.of())), 7, 2, 4);
    }

    /** Takes in all windows in two batches; {@code ends} are {window, row, start logit, end logit}, the others -9. */
    private static AnswerSpans spans(AnswerWindows windows, int maxAnswer, float[]... ends) {
        AnswerSpans spans = new AnswerSpans(windows, maxAnswer, 1);
        int half = windows.size() / 2;
        for (int[] part : new int[][] {{0, half}, {half, windows.size()}}) {
            PackedBatch batch = PackedBatch.of(windows.encode(IntStream.range(part[0], part[1]).toArray()));
            float[] logits = new float[2 * batch.totalTokens()];
            Arrays.fill(logits, -9);
            for (float[] end : ends) {
                if (end[0] >= part[0] && end[0] < part[1]) {
                    int row = batch.cuSeqlens()[(int) end[0] - part[0]] + (int) end[1];
                    logits[2 * row] = end[2];
                    logits[2 * row + 1] = end[3];
                }
            }
            spans.add(batch, logits);
        }
        return spans;
    }

    @Test
    void theBestSpanOverAllWindows() {
        AnswerWindows windows = windows();
        assertEquals(4, windows.size()); // a b c, c d e, e f g, g h
        AnswerSpans.Answers answers = spans(windows, 30, new float[] {0, 5, 2, 2}, new float[] {1, 3, 1, -9}, new float[] {1, 4, -9, 4}).answers(0);
        QuestionAnswerer.Span best = answers.best().get(0);
        assertEquals("c d", best.text()); // 1 + 4 in window 1; "c" alone has 2 + 2 in window 0
        assertEquals(4, best.start());
        assertEquals(7, best.end());
        assertEquals("c", answers.best().get(1).text());
        assertEquals(1, answers.best().stream().filter(span -> span.text().equals("c")).count(), "a span that two windows hold counts once");
        assertEquals(1, answers.best().stream().mapToDouble(QuestionAnswerer.Span::score).sum() + answers.noneScore(), 1e-12);
    }

    @Test
    void spansGoForwardsAreShortEnoughAndInsideTheContext() {
        AnswerSpans.Answers backwards = spans(windows(), 30, new float[] {0, 4, 9, -9}, new float[] {0, 3, -9, 9}).answers(0);
        assertEquals("a", backwards.best().get(0).text()); // -9 + 9, as "b": a tie goes to the earlier
        AnswerSpans.Answers outside = spans(windows(), 30, new float[] {0, 1, 20, 20}, new float[] {0, 2, 20, 20}, new float[] {0, 6, 20, 20}).answers(0);
        assertTrue(outside.best().get(0).score() < 0.1, "question and [SEP] are no answers");
        AnswerSpans.Answers one = spans(windows(), 1, new float[] {0, 3, 5, -9}, new float[] {0, 4, 1, 3}, new float[] {0, 5, -9, 5}).answers(0);
        assertEquals("b", one.best().get(0).text());
        assertEquals(8, one.best().size(), "one token each");
    }

    @Test
    void noAnswerIsTheWindowThatBelievesInItLeast() {
        float[][] cls = {{0, 0, 3, 3}, {1, 0, 1, 1}, {2, 0, 4, 4}, {3, 0, 5, 5}, {2, 3, 1, 2}};
        AnswerSpans.Answers answers = spans(windows(), 30, cls).answers(0);
        assertEquals("e", answers.best().get(0).text());
        assertEquals(1 / (1 + Math.exp(3 - 2)), answers.noAnswerProbability(), 1e-12);
        assertEquals(answers.noneScore() / (answers.noneScore() + answers.best().get(0).score()), answers.noAnswerProbability(), 1e-12);
    }

    @Test
    void aContextWithoutTokensHasNoAnswer() {
        AnswerWindows windows = new AnswerWindows(tokenizer, List.of(new Question("q", 0, "h", "\u0007", List.of())), 7, 2, 4);
        AnswerSpans spans = new AnswerSpans(windows, 30, 1);
        spans.add(PackedBatch.of(windows.encode(new int[] {0})), new float[8]);
        assertEquals(List.of(), spans.answers(0).best());
        assertEquals(1, spans.answers(0).noAnswerProbability());
        assertEquals(1, spans.answers(0).noneScore());
    }
}
