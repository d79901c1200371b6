package org.warpbert.format;

/**
 * A token that is found in the text before WordPiece sees it, and kept whole; the flags are Hugging Face's.
 *
 * @param content    as it stands in the vocabulary
 * @param special    whether it marks something rather than being text: never masked
 * @param singleWord whether it counts only where it is no part of a word
 * @param lstrip     whether white space before it belongs to it
 * @param rstrip     whether white space after it belongs to it
 * @param normalized whether it is looked for in the normalised text (lower-cased, for an uncased model) rather than the raw one
 */
public record AddedToken(String content, boolean special, boolean singleWord, boolean lstrip, boolean rstrip, boolean normalized) {

    /** As transformers adds tokens: special ones are looked for as they are, others in the normalised text. */
    public static AddedToken of(String content, boolean special) {
        return new AddedToken(content, special, false, false, false, !special);
    }
}
