package org.warpbert.text;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.warpbert.WarpBertException;

/**
 * Running text, to pre-train on: lines that belong together. Two forms are told apart by the first line that holds anything:
 * <ul>
 * <li>plain text: a sentence or a paragraph per line, a blank line between documents;
 * <li>WikiText, where that line is a {@code  = Title = }: titles of one = begin a document, headings of any depth are left out,
 * {@code @-@ @,@ @.@} are joined again to the hyphens, commas and points that they stand for, and {@code <unk>} is [UNK].
 * </ul>
 * Files are UTF-8, with {@code .gz} or without. All of the text is held in memory.
 *
 * @param documents lines of each document, none blank; no document is empty
 */
public record Documents(Path file, List<List<String>> documents) {
    private static final Pattern HEADING = Pattern.compile("= .*\\S.* =");
    private static final Pattern TITLE = Pattern.compile("= [^=\\s].* =(?<! = =)"); // of one = on either side
    private static final Pattern JOINT = Pattern.compile(" @([-,.])@ ");

    /** Reads a file of text; one without any is an error. */
    public static Documents read(Path file) {
        List<List<String>> documents = new ArrayList<>();
        List<String> current = new ArrayList<>();
        try (Utf8Lines lines = Utf8Lines.open(file)) {
            Boolean wikiText = null;
            for (String raw = lines.next(); raw != null; raw = lines.next()) {
                String line = raw.strip();
                if (wikiText == null && !line.isEmpty()) {
                    wikiText = TITLE.matcher(line).matches();
                }
                boolean heading = wikiText == Boolean.TRUE && HEADING.matcher(line).matches();
                if (wikiText == Boolean.TRUE ? heading && TITLE.matcher(line).matches() : line.isEmpty()) {
                    current = end(documents, current);
                } else if (!heading && !line.isEmpty()) {
                    current.add(wikiText ? JOINT.matcher(line).replaceAll("$1").replace("<unk>", "[UNK]") : line);
                }
            }
        }
        end(documents, current);
        if (documents.isEmpty()) {
            throw new WarpBertException(file + " holds no text.");
        }
        return new Documents(file, documents);
    }

    private static List<String> end(List<List<String>> documents, List<String> document) {
        if (!document.isEmpty()) {
            documents.add(document);
        }
        return new ArrayList<>();
    }

    /** The documents with these numbers, in that order. */
    public Documents select(int[] chosen) {
        List<List<String>> some = new ArrayList<>(chosen.length);
        for (int number : chosen) {
            some.add(documents.get(number));
        }
        return new Documents(file, some);
    }
}
