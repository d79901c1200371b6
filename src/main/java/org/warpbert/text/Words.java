package org.warpbert.text;

import java.util.ArrayList;
import java.util.List;

/**
 * Cuts raw text into words much as corpora of tagged sentences have them: at white space, around every CJK character, and
 * at punctuation on a word's edges, each character of which is a word of its own. Inside a word punctuation stays (3.5,
 * e-mail, a URL), but an apostrophe with one or two letters behind it at the end comes off (Paris 's, I 'll, do n't); an {@code @} or
 * {@code #} in front of a letter or digit stays, as a name or hashtag. What punctuation is, is as in BERT's own tokenizer.
 */
public final class Words {
    /** Where a word stands: start and end (exclusive) in UTF-16 units. */
    public record Span(int start, int end) {}

    private Words() {}

    /** The words of a text, in order; they do not overlap. */
    public static List<Span> of(String text) {
        List<Span> words = new ArrayList<>();
        int start = 0;
        for (int i = 0; i < text.length(); ) {
            int c = text.codePointAt(i);
            int next = i + Character.charCount(c);
            if (isSpace(c) || Character.isIdeographic(c)) {
                cut(text, start, i, words);
                if (!isSpace(c)) {
                    words.add(new Span(i, next));
                }
                start = next;
            }
            i = next;
        }
        cut(text, start, text.length(), words);
        return words;
    }

    /** Takes punctuation off a run without spaces: from the front, then, in reverse, from the end. */
    private static void cut(String text, int from, int to, List<Span> words) {
        int start = from;
        while (start < to && isPunctuation(text.codePointAt(start)) && !isNamed(text, start, to)) {
            int next = start + Character.charCount(text.codePointAt(start));
            words.add(new Span(start, next));
            start = next;
        }
        int end = to;
        while (end > start && isPunctuation(text.codePointBefore(end))) {
            end -= Character.charCount(text.codePointBefore(end));
        }
        if (end > start) {
            int clitic = clitic(text, start, end);
            words.add(new Span(start, clitic));
            if (clitic < end) {
                words.add(new Span(clitic, end));
            }
        }
        for (int i = end; i < to; i += Character.charCount(text.codePointAt(i))) {
            words.add(new Span(i, i + Character.charCount(text.codePointAt(i))));
        }
    }

    private static boolean isNamed(String text, int at, int to) {
        char c = text.charAt(at);
        return (c == '@' || c == '#') && at + 1 < to && (Character.isLetterOrDigit(text.codePointAt(at + 1)) || text.charAt(at + 1) == '_');
    }

    /** Where an apostrophe with one or two letters behind it stands, or n't; {@code end} where none does or it is all there is. */
    private static int clitic(String text, int start, int end) {
        for (int at = end - 2; at >= end - 3 && at > start; at--) {
            char c = text.charAt(at);
            if ((c == '\'' || c == '\u2019') && text.substring(at + 1, end).codePoints().allMatch(Character::isLetter)) {
                boolean not = "t".equalsIgnoreCase(text.substring(at + 1, end)) && Character.toLowerCase(text.charAt(at - 1)) == 'n';
                int from = not ? at - 1 : at;
                return from > start ? from : end;
            }
        }
        return end;
    }

    private static boolean isSpace(int c) {
        return Character.isWhitespace(c) || Character.isSpaceChar(c) || Character.isISOControl(c);
    }

    private static boolean isPunctuation(int c) {
        return switch (Character.getType(c)) {
            case Character.CONNECTOR_PUNCTUATION, Character.DASH_PUNCTUATION, Character.START_PUNCTUATION, Character.END_PUNCTUATION,
                    Character.INITIAL_QUOTE_PUNCTUATION, Character.FINAL_QUOTE_PUNCTUATION, Character.OTHER_PUNCTUATION -> true;
            default -> c > ' ' && c < 0x7f && !Character.isLetterOrDigit(c); // $ + < = > ^ ` | ~
        };
    }
}
