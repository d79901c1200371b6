package org.warpbert.text;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.warpbert.WarpBertException;

/**
 * Questions with candidates. JSONL with the keys {@code context} and {@code question} (one of them is enough), {@code choices},
 * a list of texts as long as may be, and {@code label}, the number of the right one from 0 or its letter from A (as RACE and
 * CommonsenseQA have it); or a table with SWAG's columns (Zellers et al. 2018) {@code sent1}, {@code sent2}, {@code ending0}, {@code ending1}, …, {@code label}.
 */
public final class ChoiceFile {
    private static final String CONTEXT = "context";
    private static final String QUESTION = "question";
    private static final String CHOICES = "choices";
    private static final String LABEL = "label";
    private static final String ENDING = "ending";

    private final TextTable table;
    private final int context; // columns; -1: none
    private final int question;
    private final int choices; // -1: endings
    private final int[] endings;
    private final int label;

    private ChoiceFile(TextTable table, boolean labelled) {
        this.table = table;
        List<String> names = table.header();
        boolean swag = names.contains(ENDING + 0);
        context = names.indexOf(swag ? "sent1" : CONTEXT);
        question = names.indexOf(swag ? "sent2" : QUESTION);
        if (!swag && !names.contains(CHOICES)) {
            throw new WarpBertException(table.file() + " has neither a list 'choices' nor columns 'ending0', 'ending1', ... as SWAG; there are: "
                    + String.join(", ", names) + ".");
        }
        choices = swag ? -1 : table.column(CHOICES);
        endings = names.stream().filter(name -> name.matches(ENDING + "[0-9]{1,2}")).sorted((a, b) -> number(a) - number(b))
                .mapToInt(names::indexOf).toArray();
        label = labelled ? table.column(LABEL) : -1;
        if (context < 0 && question < 0 || swag && context < 0) {
            throw new WarpBertException(table.file() + (swag ? " has no column 'sent1'." : " has neither a 'context' nor a 'question'."));
        }
    }

    private static int number(String ending) {
        return Integer.parseInt(ending.substring(ENDING.length()));
    }

    /** Reads questions whose answer is known. */
    public static List<ChoiceQuestion> read(Path file) {
        try (TextTable table = TextTable.open(file, TextTable.Options.DEFAULT)) {
            return new ChoiceFile(table, true).rows();
        }
    }

    /** Reads questions to be answered; the caller closes the table. */
    public static List<ChoiceQuestion> readQuestions(TextTable table) {
        return new ChoiceFile(table, false).rows();
    }

    /** Fails where a column is missing; reads no further than the first row. */
    public static void check(Path file) {
        try (TextTable table = TextTable.open(file, TextTable.Options.DEFAULT)) {
            new ChoiceFile(table, true);
        }
    }

    private List<ChoiceQuestion> rows() {
        List<ChoiceQuestion> rows = new ArrayList<>();
        for (TextTable.Row row = table.next(); row != null; row = table.next()) {
            rows.add(row(row));
        }
        if (rows.isEmpty()) {
            throw new WarpBertException(table.file() + " holds no question.");
        }
        return rows;
    }

    private ChoiceQuestion row(TextTable.Row row) {
        List<String> candidates = new ArrayList<>();
        if (choices >= 0) {
            candidates.addAll(row.list(choices));
        } else {
            for (int ending : endings) {
                candidates.add(row.get(ending));
            }
        }
        String where = table.at(row.line());
        if (candidates.size() < 2) {
            throw new WarpBertException(where + "there must be at least two choices.");
        }
        if (candidates.stream().anyMatch(String::isBlank)) {
            throw new WarpBertException(where + "choice " + candidates.indexOf(candidates.stream().filter(String::isBlank).findFirst().orElseThrow())
                    + " is empty.");
        }
        String known = context < 0 ? null : row.get(context);
        String asked = question < 0 ? null : row.get(question);
        if ((known == null || known.isBlank()) && (asked == null || asked.isBlank())) {
            throw new WarpBertException(where + "neither context nor question has a text.");
        }
        return new ChoiceQuestion(row.line(), known == null || known.isBlank() ? null : known, asked, candidates,
                label < 0 ? PackedBatch.IGNORE : label(row.get(label).strip(), candidates.size(), where));
    }

    private static int label(String text, int choices, String where) {
        int number = text.matches("[0-9]{1,6}") ? Integer.parseInt(text) : text.matches("[A-Z]") ? text.charAt(0) - 'A' : -1;
        if (number < 0 || number >= choices) {
            throw new WarpBertException(where + "the label is '" + text + "'; it must be the number of the right choice, 0 to "
                    + (choices - 1) + ", or its letter, A to " + (char) ('A' + choices - 1) + ".");
        }
        return number;
    }
}
