package org.warpbert.format;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.warpbert.WarpBertException;

/**
 * Tokens to add to a vocabulary. The file has one a line, in UTF-8: {@code TOKEN}, or {@code TOKEN<tab>special} for one that
 * marks something rather than being text. White space round a token and blank lines count for nothing.
 *
 * @param tokens in the order of the file, each once
 */
public record NewTokens(Path file, List<AddedToken> tokens) {
    private static final String SPECIAL = "special";

    /** Reads the file; a token that stands twice in it is noted. */
    public static NewTokens read(Path file, Consumer<String> note) {
        Map<String, AddedToken> tokens = new LinkedHashMap<>();
        List<String> lines = lines(file);
        for (int i = 0; i < lines.size(); i++) {
            String[] cells = lines.get(i).split("\t", -1);
            String token = cells[0].strip();
            boolean special = cells.length == 2 && cells[1].strip().equals(SPECIAL);
            if (cells.length > 2 || cells.length == 2 && !special)
                throw new WarpBertException(file + ", line " + (i + 1) + ": behind a token there may be a tab and the word " + SPECIAL + ", but nothing else.");
            if (token.isEmpty()) {
                if (special) throw new WarpBertException(file + ", line " + (i + 1) + ": there is no token before the tab.");
                continue;
            }
            if (tokens.putIfAbsent(token, AddedToken.of(token, special)) != null)
                note.accept(file + ", line " + (i + 1) + ": '" + token + "' stands there twice, the first counts");
        }
        if (tokens.isEmpty()) throw new WarpBertException(file + " holds no token.");
        return new NewTokens(file, List.copyOf(tokens.values()));
    }

    private static List<String> lines(Path file) {
        try {
            return Files.readString(file).lines().toList();
        } catch (IOException e) {
            throw new WarpBertException("Cannot read " + file + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    /** A vocabulary with the tokens in it: {@code pieces} by id, all {@code added} among them. */
    public record Grown(List<String> pieces, List<AddedToken> added) {}

    /**
     * Adds them: what is new gets the next ids, in the order of the file. A special token that is a piece already (such as
     * {@code [unused1]}) keeps its id and is kept whole from now on; an ordinary one that is there is noted, and that is all.
     */
    public Grown addTo(List<String> pieces, List<AddedToken> added, Consumer<String> note) {
        List<String> grown = new ArrayList<>(pieces);
        List<AddedToken> kept = new ArrayList<>(added);
        for (AddedToken token : tokens) {
            boolean known = pieces.contains(token.content());
            boolean keptAlready = Vocabulary.SPECIALS.contains(token.content()) || added.stream().anyMatch(a -> a.content().equals(token.content()));
            if (!known) grown.add(token.content());
            if (!known || token.special() && !keptAlready) kept.add(token);
            if (known) note.accept("'" + token.content() + "' is in the vocabulary already, as " + pieces.indexOf(token.content())
                    + (token.special() && !keptAlready ? "; it is a special token now" : ""));
        }
        return new Grown(List.copyOf(grown), List.copyOf(kept));
    }
}
