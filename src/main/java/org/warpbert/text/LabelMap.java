package org.warpbert.text;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.warpbert.WarpBertException;

/** Label texts and their class ids, both ways. Immutable. */
public final class LabelMap {
    private static final String PLACEHOLDER = "LABEL_";
    private static final int MAX_LISTED = 20;

    private final List<String> labels;
    private final Map<String, Integer> ids = new HashMap<>();

    private LabelMap(List<String> labels) {
        this.labels = List.copyOf(labels);
        for (int id = 0; id < labels.size(); id++) {
            if (ids.put(labels.get(id), id) != null) {
                throw new WarpBertException("The label '" + labels.get(id) + "' stands twice in the label list.");
            }
        }
        if (placeholders()) {
            for (int id = 0; id < labels.size(); id++) {
                ids.put(Integer.toString(id), id);
            }
        }
    }

    /**
     * Labels by class id, as a model's config gives them ({@code id2label}). Where they are Hugging Face's
     * placeholders ({@code LABEL_0, LABEL_1, …}), a file's bare {@code 0, 1, …} mean them too.
     */
    public static LabelMap of(List<String> labels) {
        return new LabelMap(labels);
    }

    /** {@code 0, 1, …}: what so many classes are called where nothing names them. */
    public static LabelMap numbered(int classes) {
        return of(IntStream.range(0, classes).mapToObj(Integer::toString).toList());
    }

    /**
     * The labels that occur, sorted: by value if all are integers, else by their text (UTF-16 order).
     *
     * @throws WarpBertException naming the file, if rows carry no label or all the same
     */
    public static LabelMap fromTraining(Examples training) {
        TreeSet<String> seen = new TreeSet<>();
        for (Example row : training.rows()) {
            if (row.label() == null) {
                throw new WarpBertException(training.file() + " was read without a label column.");
            }
            seen.add(row.label());
        }
        return sorted(seen, training.file());
    }

    /**
     * The labels that occur in rows that may have several, sorted as {@link #fromTraining} does.
     *
     * @throws WarpBertException naming the file, if no row has any
     */
    public static LabelMap fromSets(Examples training) {
        TreeSet<String> seen = new TreeSet<>();
        training.rows().forEach(row -> seen.addAll(row.labels()));
        if (seen.isEmpty()) {
            throw new WarpBertException("No row of " + training.file() + " has a label. Is it the right column?");
        }
        return sorted(seen);
    }

    /** {@link #fromTraining} of the sentences' words. */
    public static LabelMap fromWords(List<TaggedSentence> sentences, Path file) {
        TreeSet<String> seen = new TreeSet<>();
        sentences.forEach(sentence -> sentence.words().forEach(word -> seen.add(word.label())));
        return sorted(seen, file);
    }

    private static LabelMap sorted(TreeSet<String> seen, Path file) {
        if (seen.size() < 2) {
            throw new WarpBertException("All rows to learn from, of " + file + ", have the label " + seen
                    + "; a classifier needs at least two. Is it the right column?");
        }
        return sorted(seen);
    }

    private static LabelMap sorted(TreeSet<String> seen) {
        List<String> sorted = new ArrayList<>(seen);
        if (seen.stream().allMatch(label -> label.matches("[+-]?[0-9]{1,18}"))) {
            sorted.sort(Comparator.comparingLong(Long::parseLong)); // stable: "01" and "1" keep their text order
        }
        return new LabelMap(sorted);
    }

    /** Whether these are Hugging Face's {@code LABEL_0, LABEL_1, …}, which say nothing of what a class means. */
    public boolean placeholders() {
        for (int id = 0; id < labels.size(); id++) {
            if (!labels.get(id).equals(PLACEHOLDER + id)) {
                return false;
            }
        }
        return true;
    }

    /** Number of classes. */
    public int size() {
        return labels.size();
    }

    /** Labels by class id. */
    public List<String> labels() {
        return labels;
    }

    /** The label of a class id. */
    public String label(int id) {
        return labels.get(id);
    }

    /**
     * Class ids of all rows, {@code [rows]}.
     *
     * @throws WarpBertException naming file, line and label, if a label is not in this map
     */
    public int[] ids(Examples examples) {
        return examples.rows().stream().mapToInt(row -> id(row, examples.file())).toArray();
    }

    /** Class id of one row; {@code file} is for the error, which names file, line, label and the known labels. */
    public int id(Example row, Path file) {
        return id(row.label(), file, row.line());
    }

    /** Class id of a label that stands in a line of a file; see {@link #id(Example, Path)}. */
    public int id(String label, Path file, long line) {
        Integer id = ids.get(label);
        if (id == null) {
            throw new WarpBertException(file + ", line " + line + ": the label "
                    + (label == null ? "is missing" : "'" + label + "' was not seen in training")
                    + "; known labels: " + known() + ".");
        }
        return id;
    }

    /** Class ids of a sentence's words; errors as {@link #id(Example, Path)}. */
    public int[] ids(TaggedSentence sentence, Path file) {
        return sentence.words().stream().mapToInt(word -> id(word.label(), file, word.line())).toArray();
    }

    private String known() {
        String listed = String.join(", ", labels.subList(0, Math.min(MAX_LISTED, labels.size())));
        return labels.size() > MAX_LISTED ? listed + " and " + (labels.size() - MAX_LISTED) + " more" : listed;
    }
}
