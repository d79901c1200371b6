package org.warpbert.task;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.ToDoubleBiFunction;
import java.util.regex.Pattern;

/** Whether two answers are the same, as the official evaluation scripts of the data sets define it. All values lie in [0, 1]. */
public enum AnswerMetric {
    /** evaluate-v1.1: words without articles and punctuation; texts without words share none, so their F1 is 0. */
    SQUAD,
    /** evaluate-v2.0: the same, but texts without words agree with each other, and golds without words are not asked for. */
    SQUAD2,
    /** evaluate-korquad_v1.0: brackets and quotes are spaces, there are no articles, and F1 counts characters. */
    KORQUAD;

    /** Python's {@code string.punctuation}. */
    private static final Pattern PUNCTUATION = Pattern.compile("\\p{Punct}");
    /** Python's {@code \w+}: letters, numbers of every kind and the underscore. */
    private static final Pattern WORD = Pattern.compile("[\\p{L}\\p{N}_]+");
    private static final Set<String> ARTICLES = Set.of("a", "an", "the");
    /** Python's {@code str.isspace}. */
    private static final Pattern SPACES = Pattern.compile("[\\s\\x1c-\\x1f]+", Pattern.UNICODE_CHARACTER_CLASS);
    private static final Pattern KOREAN_MARKS = Pattern.compile("['\"《》<>〈〉()‘’]");

    /** What is compared: lower case, without punctuation and (in English) articles, single spaces. */
    public String normalise(String text) {
        String kept = this == KORQUAD ? KOREAN_MARKS.matcher(text).replaceAll(" ") : text;
        kept = PUNCTUATION.matcher(kept.toLowerCase(Locale.ROOT)).replaceAll("");
        if (this != KORQUAD) {
            kept = WORD.matcher(kept).replaceAll(word -> ARTICLES.contains(word.group()) ? " " : word.group()); // holds no $ or \
        }
        return String.join(" ", words(kept));
    }

    /** 1 where the prediction is one of the golds, else 0. No golds: the right prediction is an empty text. */
    public double exact(List<String> golds, String prediction) {
        return best(golds, prediction, (gold, answer) -> normalise(gold).equals(normalise(answer)) ? 1 : 0);
    }

    /** The largest overlap of words (in Korean: characters) with a gold: the harmonic mean of precision and recall. */
    public double f1(List<String> golds, String prediction) {
        return best(golds, prediction, this::f1);
    }

    private double best(List<String> golds, String prediction, ToDoubleBiFunction<String, String> score) {
        List<String> asked = this == SQUAD2 ? golds.stream().filter(gold -> !normalise(gold).isEmpty()).toList() : golds;
        return (asked.isEmpty() ? List.of("") : asked).stream().mapToDouble(gold -> score.applyAsDouble(gold, prediction)).max().orElseThrow();
    }

    private double f1(String gold, String prediction) {
        String[] wanted = units(gold);
        String[] given = units(prediction);
        if (this == SQUAD2 && (wanted.length == 0 || given.length == 0)) {
            return wanted.length == given.length ? 1 : 0;
        }
        Map<String, Integer> counts = new HashMap<>();
        for (String unit : wanted) {
            counts.merge(unit, 1, Integer::sum);
        }
        int common = 0;
        for (String unit : given) {
            if (counts.merge(unit, -1, Integer::sum) >= 0) {
                common++;
            }
        }
        if (common == 0) {
            return 0;
        }
        double precision = (double) common / given.length;
        double recall = (double) common / wanted.length;
        return 2 * precision * recall / (precision + recall);
    }

    private String[] units(String text) {
        String[] words = words(normalise(text));
        return this != KORQUAD ? words
                : Arrays.stream(words).flatMapToInt(String::codePoints).mapToObj(Character::toString).toArray(String[]::new);
    }

    /** Python's {@code str.split()}. */
    private static String[] words(String text) {
        return SPACES.splitAsStream(text).filter(word -> !word.isEmpty()).toArray(String[]::new);
    }
}
