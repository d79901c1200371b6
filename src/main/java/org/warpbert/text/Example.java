package org.warpbert.text;

/**
 * One row of a data set.
 *
 * @param line  1-based line of the file that the row starts on
 * @param text  the text, never blank
 * @param pair  the second text of a pair task, or null
 * @param label the label as written in the file, or null where there is none
 */
public record Example(long line, String text, String pair, String label) {
}
