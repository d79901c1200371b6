package org.warpbert.task;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/**
 * Entities as tags spell them: O outside, and B (begins), I (inside), E (ends) or S (single) with the type behind a hyphen:
 * IOB1, IOB2, BIOES and IOBES. Any sequence is read, with the rules of conlleval and of seqeval's default mode: I and E go on
 * with an entity of their type that is open, or begin one where none is; B and S always begin one; E and S end theirs.
 * seqeval's strict mode reads well-formed sequences alike, but drops or cuts entities of malformed ones.
 */
public final class Entities {
    private static final String OUTSIDE = "O";
    private static final String NO_TYPE = "_"; // of a bare B, I, E or S
    private static final Predicate<String> TAG = Pattern.compile("O|[BIES](-.*)?", Pattern.DOTALL).asMatchPredicate();

    /**
     * One entity.
     *
     * @param first its first word
     * @param last  its last word, inclusive
     */
    public record Entity(String type, int first, int last) {}

    private Entities() {}

    /** Whether labels are such tags; parts of speech are not. */
    public static boolean areTags(List<String> labels) {
        return others(labels).isEmpty() && labels.stream().anyMatch(label -> !label.equals(OUTSIDE));
    }

    /** The labels that are no such tags. */
    static List<String> others(List<String> labels) {
        return labels.stream().filter(TAG.negate()).toList();
    }

    /** The entities of a sentence, in order; null is a word outside. */
    public static List<Entity> of(List<String> tags) {
        List<Entity> entities = new ArrayList<>();
        String open = null; // type of the entity that the next word may go on with
        int first = 0;
        for (int i = 0; i < tags.size(); i++) {
            String tag = tags.get(i) == null ? OUTSIDE : tags.get(i);
            char place = tag.charAt(0);
            String type = place == 'O' ? null : type(tag);
            boolean goesOn = (place == 'I' || place == 'E') && type.equals(open);
            if (!goesOn) {
                close(open, first, i - 1, entities);
                open = type;
                first = i;
            }
            if (place == 'E' || place == 'S') {
                close(open, first, i, entities);
                open = null;
            }
        }
        close(open, first, tags.size() - 1, entities);
        return entities;
    }

    private static void close(String type, int first, int last, List<Entity> entities) {
        if (type != null) {
            entities.add(new Entity(type, first, last));
        }
    }

    private static String type(String tag) {
        return tag.length() <= 2 ? NO_TYPE : tag.substring(2);
    }
}
