package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.warpbert.task.AnswerMetric.KORQUAD;
import static org.warpbert.task.AnswerMetric.SQUAD;
import static org.warpbert.task.AnswerMetric.SQUAD2;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Cases worked out by hand from the definitions in evaluate-v1.1, evaluate-v2.0 and evaluate-korquad_v1.0. */
class AnswerMetricTest {
    private static void judged(AnswerMetric metric, double exact, double f1, String prediction, String... golds) {
        assertEquals(exact, metric.exact(List.of(golds), prediction), prediction);
        assertEquals(f1, metric.f1(List.of(golds), prediction), 1e-15, prediction);
    }

    @Test
    void caseArticlesPunctuationAndSpacesDoNotMatter() {
        judged(SQUAD, 1, 1, "Eiffel tower!", "the Eiffel Tower");
        judged(SQUAD, 1, 1, "10000", "10,000");
        judged(SQUAD, 1, 1, " an \t apple\u00a0pie ", "Apple pie");
        judged(SQUAD, 1, 1, "us", "U.S.");
        assertEquals("theatre and anthem", SQUAD.normalise("a theatre and an anthem"));
    }

    @Test
    void punctuationGoesBeforeArticlesAndLeavesNoSpace() {
        assertEquals("wellknown", SQUAD.normalise("well-known"));
        assertEquals("there", SQUAD.normalise("the-re"));
        assertEquals("é", SQUAD.normalise("a 'é'"));
        assertEquals("—", SQUAD.normalise("the — a"), "only ASCII's punctuation goes");
    }

    /** Python's word boundary: letters and numbers of any script join an article, a combining mark does not. */
    @Test
    void articlesAreWholeWordsInAnyScript() {
        assertEquals("aé the² 𝔸the", SQUAD.normalise("aé the² 𝔸the"));
        assertEquals("\u0301", SQUAD.normalise("the\u0301"));
        assertEquals("x y", SQUAD.normalise("x\u001cthe\u2003y"));
    }

    @Test
    void f1CountsWordsAsOftenAsBothHaveThem() {
        judged(SQUAD, 0, 2.0 / 3, "cat dog cat cat", "a an the cat cat"); // 2 of 4 given, 2 of 2 wanted
        judged(SQUAD, 0, 0, "lion", "cat");
        judged(SQUAD, 0, 0.8, "the broncos of Denver", "Denver Broncos", "Broncos"); // 2 of 3, 2 of 2; the other gold: 0.5
    }

    @Test
    void ofSeveralGoldsTheBestCounts() {
        judged(SQUAD, 1, 1, "1973", "October 1973", "October", "1973");
        judged(SQUAD, 0, 2.0 / 3, "in 1973", "nothing like it", "1973");
    }

    /** Where nothing is left of an answer: the first script finds no word in common, the second that both are empty. */
    @Test
    void answersWithoutWords() {
        judged(SQUAD, 1, 0, "the", "The");
        judged(SQUAD2, 1, 1, "the", "The");
        judged(SQUAD2, 1, 1, "cat", "the", "cat");
        judged(SQUAD, 0, 0, "cat", "the");
    }

    @Test
    void noAnswerIsRightOnlyWhereThereIsNone() {
        judged(SQUAD2, 1, 1, "");
        judged(SQUAD2, 0, 0, "cat");
        judged(SQUAD2, 0, 0, "", "cat");
    }

    /** 1989년 2월 15일 has 10 characters without spaces, 에 makes an eleventh. */
    @Test
    void koreanCountsCharacters() {
        judged(KORQUAD, 0, 20.0 / 21, "1989년 2월 15일에", "1989년 2월 15일");
        judged(KORQUAD, 1, 1, "'임을 위한 행진곡'", "《임을 위한 행진곡》");
        judged(KORQUAD, 0, 8.0 / 9, "sale", "a sale");
        judged(KORQUAD, 0, 1, "서울특별시", "서울(특별시)"); // a bracket is a space, so two words of the same characters
        judged(KORQUAD, 0, 2.0 / 3, "😀a", "😀"); // characters, not UTF-16 units: 1 of 2, 1 of 1
    }
}
