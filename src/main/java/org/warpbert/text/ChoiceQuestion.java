package org.warpbert.text;

import java.util.List;
import java.util.Objects;
import org.warpbert.WarpBertException;

/**
 * A question with candidates, one of which is right. A candidate is read as a pair: the context, then the question and the
 * candidate; without a context the question, then the candidate.
 *
 * @param line     1-based line of the file that it starts on; 0: it is from none
 * @param context  what is known, or null; never null together with the question
 * @param question what is asked, or the beginning that candidates continue, or null
 * @param choices  the candidates, two or more
 * @param label    number of the right one, 0 the first; {@link PackedBatch#IGNORE} where it is not known
 */
public record ChoiceQuestion(long line, String context, String question, List<String> choices, int label) {
    public ChoiceQuestion {
        if (choices == null || choices.stream().anyMatch(Objects::isNull)) {
            throw new WarpBertException("a choice of " + name(line) + " is null");
        }
        choices = List.copyOf(choices);
        if (context == null && question == null || choices.size() < 2) {
            throw new WarpBertException(name(line) + " has " + (choices.size() < 2 ? "fewer than two choices" : "neither a context nor a question"));
        }
    }

    /** One to be asked: from no file, and without the right choice. */
    public ChoiceQuestion(String context, String question, List<String> choices) {
        this(0, context, question, choices, PackedBatch.IGNORE);
    }

    private static String name(long line) {
        return line > 0 ? "the choice question of line " + line : "the choice question";
    }

    /** The first text of every candidate's pair. */
    String first() {
        return context != null ? context : question;
    }

    /** The second text of a candidate's pair. */
    String second(int choice) {
        return context != null && question != null && !question.isBlank() ? question + " " + choices.get(choice) : choices.get(choice);
    }
}
