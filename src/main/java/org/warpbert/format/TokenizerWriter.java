package org.warpbert.format;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.warpbert.WarpBertException;

/** Writes the files in which Hugging Face keeps a BERT tokenizer; {@link Vocabulary} reads them. */
public final class TokenizerWriter {
    private static final ObjectMapper JSON = new ObjectMapper();

    private TokenizerWriter() {}

    /**
     * Writes {@code vocab.txt}, {@code tokenizer.json}, {@code tokenizer_config.json} and {@code special_tokens_map.json}, each
     * atomically; the folder is made where it is missing. Added tokens stand in {@code vocab.txt} as well.
     *
     * @param pieces    in id order
     * @param added     pieces kept whole besides {@link Vocabulary#SPECIALS}
     * @param maxLength the longest sequence that the model takes, in tokens
     * @throws WarpBertException as {@link #tokenizerJson} (nothing is written then), or why it cannot be written
     */
    public static void write(Path folder, List<String> pieces, boolean lowerCase, List<AddedToken> added, int maxLength) {
        String tokenizer = tokenizerJson(pieces, lowerCase, added);
        write(folder.resolve(Vocabulary.TEXT), String.join("\n", pieces) + "\n");
        write(folder.resolve(Vocabulary.TOKENIZER), tokenizer);
        write(folder.resolve(Vocabulary.CONFIG), configJson(pieces, lowerCase, added, maxLength));
        write(folder.resolve(Vocabulary.SPECIAL_TOKENS), named(JSON.createObjectNode(), added).toPrettyString());
    }

    /** As {@link #write(Path, List, boolean, List, int)}, without added tokens. */
    public static void write(Path folder, List<String> pieces, boolean lowerCase, int maxLength) {
        write(folder, pieces, lowerCase, List.of(), maxLength);
    }

    private static void write(Path file, String text) {
        AtomicFile.write(file, text.getBytes(StandardCharsets.UTF_8));
    }

    /**
     * The {@code tokenizer.json} that Hugging Face writes for BERT. A piece that stands twice keeps its last id, as there.
     *
     * @param added pieces kept whole besides {@link Vocabulary#SPECIALS}
     * @throws WarpBertException naming the special tokens that are missing
     */
    public static String tokenizerJson(List<String> pieces, boolean lowerCase, List<AddedToken> added) {
        List<String> missing = Vocabulary.SPECIALS.stream().filter(special -> !pieces.contains(special)).toList();
        if (!missing.isEmpty())
            throw new WarpBertException("The vocabulary of " + pieces.size() + " pieces lacks " + String.join(" ", missing)
                    + "; is it a BERT vocabulary?");
        ObjectNode root = JSON.createObjectNode();
        root.put("version", "1.0").putNull("truncation").putNull("padding");
        ArrayNode whole = root.putArray("added_tokens");
        for (AddedToken token : kept(pieces, added)) {
            flags(whole.addObject().put("id", pieces.indexOf(token.content())).put("content", token.content()), token);
        }
        root.putObject("normalizer").put("type", "BertNormalizer").put("clean_text", true)
                .put("handle_chinese_chars", true).putNull("strip_accents").put("lowercase", lowerCase);
        root.putObject("pre_tokenizer").put("type", "BertPreTokenizer");
        root.set("post_processor", template(pieces));
        root.putObject("decoder").put("type", "WordPiece").put("prefix", "##").put("cleanup", true);
        ObjectNode model = root.putObject("model").put("type", "WordPiece").put("unk_token", "[UNK]")
                .put("continuing_subword_prefix", "##").put("max_input_chars_per_word", 100);
        ObjectNode ids = model.putObject("vocab");
        int own = own(pieces, added);
        for (int id = 0; id < own; id++) ids.put(pieces.get(id), id);
        return root.toString();
    }

    /** Pieces of WordPiece itself: added tokens behind them are none of its, and no word begins with one. */
    private static int own(List<String> pieces, List<AddedToken> added) {
        Set<String> behind = added.stream().map(AddedToken::content).collect(Collectors.toSet());
        int own = pieces.size();
        while (own > 0 && behind.contains(pieces.get(own - 1))) own--;
        return own;
    }

    /** BERT's own special tokens and the others, by id: that is the order in which the library takes them. */
    private static List<AddedToken> kept(List<String> pieces, List<AddedToken> added) {
        return Stream.concat(Vocabulary.SPECIALS.stream().map(special -> AddedToken.of(special, true)), added.stream())
                .sorted(Comparator.comparingInt(token -> pieces.indexOf(token.content()))).toList();
    }

    private static ObjectNode flags(ObjectNode json, AddedToken token) {
        return json.put("single_word", token.singleWord()).put("lstrip", token.lstrip()).put("rstrip", token.rstrip())
                .put("normalized", token.normalized()).put("special", token.special());
    }

    /** {@code [CLS] A [SEP]} and {@code [CLS] A [SEP] B [SEP]}. */
    private static ObjectNode template(List<String> pieces) {
        ObjectNode template = JSON.createObjectNode().put("type", "TemplateProcessing");
        for (String kind : List.of("single", "pair")) {
            ArrayNode sequence = template.putArray(kind);
            part(sequence, "SpecialToken", "[CLS]", 0);
            part(sequence, "Sequence", "A", 0);
            part(sequence, "SpecialToken", "[SEP]", 0);
            if (kind.equals("pair")) {
                part(sequence, "Sequence", "B", 1);
                part(sequence, "SpecialToken", "[SEP]", 1);
            }
        }
        ObjectNode specials = template.putObject("special_tokens");
        for (String special : List.of("[CLS]", "[SEP]")) {
            ObjectNode entry = specials.putObject(special).put("id", special);
            entry.putArray("ids").add(pieces.indexOf(special));
            entry.putArray("tokens").add(special);
        }
        return template;
    }

    private static void part(ArrayNode sequence, String kind, String id, int segment) {
        sequence.addObject().putObject(kind).put("id", id).put("type_id", segment);
    }

    private static String configJson(List<String> pieces, boolean lowerCase, List<AddedToken> added, int maxLength) {
        ObjectNode json = JSON.createObjectNode().put("tokenizer_class", "BertTokenizer").put("do_lower_case", lowerCase)
                .put("model_max_length", maxLength).putNull("strip_accents").put("tokenize_chinese_chars", true);
        if (!added.isEmpty()) {
            ObjectNode ids = json.putObject("added_tokens_decoder");
            for (AddedToken token : kept(pieces, added)) {
                flags(ids.putObject(Integer.toString(pieces.indexOf(token.content()))).put("content", token.content()), token);
            }
        }
        return named(json, added).toPrettyString();
    }

    /** What each special token is for; those that BERT does not know are additional ones. */
    private static ObjectNode named(ObjectNode json, List<AddedToken> added) {
        json.put("pad_token", "[PAD]").put("unk_token", "[UNK]").put("cls_token", "[CLS]").put("sep_token", "[SEP]").put("mask_token", "[MASK]");
        if (added.stream().anyMatch(AddedToken::special)) {
            ArrayNode additional = json.putArray("additional_special_tokens");
            added.stream().filter(AddedToken::special).forEach(token -> additional.add(token.content()));
        }
        return json;
    }
}
