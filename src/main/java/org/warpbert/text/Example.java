package org.warpbert.text;

import java.util.List;

/**
 * One row of a data set.
 *
 * @param line   1-based line of the file that the row starts on
 * @param text   the text, never blank
 * @param pair   the second text of a pair task, or null
 * @param label  the label as written in the file, or null where there is none
 * @param labels all labels, where a row may have any number of them; else null
 */
public record Example(long line, String text, String pair, String label, List<String> labels) {
    /** A row with one label or none. */
    public Example(long line, String text, String pair, String label) {
        this(line, text, pair, label, null);
    }
}
