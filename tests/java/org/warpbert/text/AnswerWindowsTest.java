package org.warpbert.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.warpbert.WarpBertException;

class AnswerWindowsTest {
    private static WordPieceTokenizer tokenizer;

    @BeforeAll
    static void open() {
        tokenizer = TestData.uncased();
    }

    @AfterAll
    static void close() {
        tokenizer.close();
    }

    private static Question question(String text, String context, String answer) {
        return new Question("q", 0, text, context, answer == null ? List.of() : List.of(new Question.Answer(answer, context.indexOf(answer))));
    }

    private static List<Instance> instances(AnswerWindows windows) {
        return windows.encode(IntStream.range(0, windows.size()).toArray());
    }

    private static String pieces(Encoded encoded) {
        return String.join(" ", Arrays.stream(encoded.tokens()).mapToObj(tokenizer::token).toList());
    }

    @Test
    void aShortContextIsOneSequence() {
        Instance instance = instances(new AnswerWindows(tokenizer, List.of(question("Who ran?", "The old cat ran.", "old cat")), 20, 5, 8)).get(0);
        assertEquals("[CLS] who ran ? [SEP] the old cat ran . [SEP]", pieces(instance.sequences().get(0)));
        assertArrayEquals(new byte[] {0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1}, instance.sequences().get(0).segments());
        assertArrayEquals(new int[] {6, 7}, instance.labels());
    }

    /** Room for 4 context tokens, windows 2 apart: the last one may be shorter, none is empty or inside another. */
    @Test
    void aLongContextIsSeenThroughWindows() {
        AnswerWindows windows = new AnswerWindows(tokenizer, List.of(question("Who?", "a b c d e f g", "d e")), 9, 2, 8);
        List<Instance> instances = instances(windows);
        assertEquals(List.of("[CLS] who ? [SEP] a b c d [SEP]", "[CLS] who ? [SEP] c d e f [SEP]", "[CLS] who ? [SEP] e f g [SEP]"),
                instances.stream().map(instance -> pieces(instance.sequences().get(0))).toList());
        assertArrayEquals(new int[] {0, 0}, instances.get(0).labels(), "the answer is cut off");
        assertArrayEquals(new int[] {5, 6}, instances.get(1).labels());
        assertArrayEquals(new int[] {0, 0}, instances.get(2).labels());
        assertEquals(new AnswerWindows.Window(0, 4, 2, 6), windows.window(1));
    }

    @Test
    void aStrideBeyondTheWindowLeavesNothingOut() {
        AnswerWindows windows = new AnswerWindows(tokenizer, List.of(question("Who?", "a b c d e f g h", null)), 7, 100, 8);
        assertEquals(List.of(0, 2, 4, 6), IntStream.range(0, windows.size()).mapToObj(w -> windows.window(w).from()).toList());
        assertEquals(1, new AnswerWindows(tokenizer, List.of(question("Who?", "a b c d", null)), 9, 1, 8).size(), "what just fits needs one");
    }

    @Test
    void longQuestionsAreCutAndCountedOnce() {
        AnswerWindows windows = new AnswerWindows(tokenizer, List.of(question("one two three four", "a b c d e", "e")), 8, 2, 3);
        List<Instance> instances = instances(windows);
        assertEquals("[CLS] one two three [SEP] a b [SEP]", pieces(instances.get(0).sequences().get(0)));
        assertEquals(List.of(true, false, false), instances.stream().map(Instance::truncated).toList());
        assertThrows(WarpBertException.class, () -> new AnswerWindows(tokenizer, List.of(question("one two three four", "a", "a")), 6, 2, 3));
    }

    @Test
    void labelsOfQuestionsWithoutPlaceOrAnswer() {
        assertArrayEquals(new int[] {0, 0}, instances(new AnswerWindows(tokenizer, List.of(question("Who?", "a b c", null)), 20, 2, 8)).get(0).labels());
        Question lost = new Question("q", 0, "Who?", "a b c", List.of(new Question.Answer("z", Question.NOWHERE)));
        int ignore = PackedBatch.IGNORE;
        assertArrayEquals(new int[] {ignore, ignore}, instances(new AnswerWindows(tokenizer, List.of(lost), 20, 2, 8)).get(0).labels());
        Question unseen = question("Who?", "a \u0007 c", "\u0007"); // the tokenizer drops control characters
        assertArrayEquals(new int[] {ignore, ignore}, instances(new AnswerWindows(tokenizer, List.of(unseen), 20, 2, 8)).get(0).labels());
    }

    @Test
    void anAnswerInsideAPieceTakesThePiece() {
        AnswerWindows windows = new AnswerWindows(tokenizer, List.of(question("When?", "It was in the 1990s.", "1990")), 30, 9, 8);
        int[] span = instances(windows).get(0).labels();
        assertEquals("1990s", tokenizer.token(instances(windows).get(0).sequences().get(0).tokens()[span[0]]));
        assertEquals(span[0], span[1]);
    }

    /** Where a span covers more than the answer, a piece cannot be divided: "1990" in "1990s". */
    @Test
    void spansOfSquadDecodeToTheAnswers() {
        int[] counts = spans(SquadFile.read(TestData.shared("squad/dev-v2.0.rebuilt.json")).questions().subList(0, 3000));
        assertTrue(counts[0] > 1500 && counts[1] <= 5, counts[1] + " of " + counts[0] + " spans are not the answer to the letter");
    }

    /** Hangul falls to pieces before an uncased model's vocabulary is asked, and most words are unknown: offsets hold all the same. */
    @Test
    void spansOfKorquadCoverTheAnswers() {
        assertTrue(spans(SquadFile.read(TestData.shared("korquad/KorQuAD_v1.0_dev.json")).questions().subList(0, 1000))[0] >= 1000);
    }

    /**
     * Checks that every answer is whole in some window, and that the spans of those begin and end with tokens of it.
     *
     * @return number of spans, and of those whose text is not the answer to the letter
     */
    private static int[] spans(List<Question> questions) {
        AnswerWindows windows = new AnswerWindows(tokenizer, questions, 160, 64, 64);
        int[] counts = new int[2];
        Set<Integer> held = new HashSet<>();
        for (int row = 0; row < windows.size(); row++) {
            AnswerWindows.Window window = windows.window(row);
            Question question = questions.get(window.question());
            Instance instance = windows.encode(new int[] {row}).get(0);
            int[] labels = instance.labels();
            assertTrue(instance.tokens() <= 160);
            if (!question.answerable()) {
                assertArrayEquals(new int[] {0, 0}, labels);
            } else if (labels[0] > 0) {
                held.add(window.question());
                Located context = windows.context(window.question());
                int first = window.from() + labels[0] - window.first();
                int last = window.from() + labels[1] - window.first();
                assertEquals(context.ids()[first], instance.sequences().get(0).tokens()[labels[0]]);
                assertEquals(context.ids()[last], instance.sequences().get(0).tokens()[labels[1]]);
                Question.Answer answer = question.located();
                int start = answer.start() + answer.text().length() - answer.text().stripLeading().length();
                int end = answer.start() + answer.text().stripTrailing().length();
                assertTrue(context.starts()[first] <= start && start < context.ends()[first], question.id());
                assertTrue(context.starts()[last] < end && end <= context.ends()[last], question.id());
                counts[0]++;
                counts[1] += question.context().substring(context.starts()[first], context.ends()[last]).equals(answer.text()) ? 0 : 1;
            }
        }
        for (int q = 0; q < questions.size(); q++) {
            assertEquals(questions.get(q).answerable(), held.contains(q), questions.get(q).id());
        }
        return counts;
    }
}
