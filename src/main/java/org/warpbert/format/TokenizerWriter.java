package org.warpbert.format;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.warpbert.WarpBertException;

/** Writes the three files in which Hugging Face keeps a BERT tokenizer; {@link Vocabulary} reads them. */
public final class TokenizerWriter {
    private static final ObjectMapper JSON = new ObjectMapper();

    private TokenizerWriter() {}

    /**
     * Writes {@code vocab.txt}, {@code tokenizer.json} and {@code tokenizer_config.json}, each atomically; the folder
     * is made where it is missing.
     *
     * @param pieces    in id order
     * @param maxLength the longest sequence that the model takes, in tokens
     * @throws WarpBertException as {@link #tokenizerJson} (nothing is written then), or why it cannot be written
     */
    public static void write(Path folder, List<String> pieces, boolean lowerCase, int maxLength) {
        String tokenizer = tokenizerJson(pieces, lowerCase);
        write(folder.resolve(Vocabulary.TEXT), String.join("\n", pieces) + "\n");
        write(folder.resolve(Vocabulary.TOKENIZER), tokenizer);
        write(folder.resolve(Vocabulary.CONFIG), configJson(lowerCase, maxLength));
    }

    private static void write(Path file, String text) {
        AtomicFile.write(file, text.getBytes(StandardCharsets.UTF_8));
    }

    /**
     * The {@code tokenizer.json} that Hugging Face writes for BERT. A piece that stands twice keeps its last id, as there.
     *
     * @throws WarpBertException naming the special tokens that are missing
     */
    public static String tokenizerJson(List<String> pieces, boolean lowerCase) {
        List<String> missing = Vocabulary.SPECIALS.stream().filter(special -> !pieces.contains(special)).toList();
        if (!missing.isEmpty())
            throw new WarpBertException("The vocabulary of " + pieces.size() + " pieces lacks " + String.join(" ", missing)
                    + "; is it a BERT vocabulary?");
        ObjectNode root = JSON.createObjectNode();
        root.put("version", "1.0").putNull("truncation").putNull("padding");
        ArrayNode added = root.putArray("added_tokens");
        for (String special : Vocabulary.SPECIALS) {
            added.addObject().put("id", pieces.indexOf(special)).put("content", special).put("single_word", false)
                    .put("lstrip", false).put("rstrip", false).put("normalized", false).put("special", true);
        }
        root.putObject("normalizer").put("type", "BertNormalizer").put("clean_text", true)
                .put("handle_chinese_chars", true).putNull("strip_accents").put("lowercase", lowerCase);
        root.putObject("pre_tokenizer").put("type", "BertPreTokenizer");
        root.set("post_processor", template(pieces));
        root.putObject("decoder").put("type", "WordPiece").put("prefix", "##").put("cleanup", true);
        ObjectNode model = root.putObject("model").put("type", "WordPiece").put("unk_token", "[UNK]")
                .put("continuing_subword_prefix", "##").put("max_input_chars_per_word", 100);
        ObjectNode ids = model.putObject("vocab");
        for (int id = 0; id < pieces.size(); id++) ids.put(pieces.get(id), id);
        return root.toString();
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

    private static String configJson(boolean lowerCase, int maxLength) {
        return JSON.createObjectNode().put("tokenizer_class", "BertTokenizer").put("do_lower_case", lowerCase)
                .put("model_max_length", maxLength).putNull("strip_accents").put("tokenize_chinese_chars", true)
                .put("pad_token", "[PAD]").put("unk_token", "[UNK]").put("cls_token", "[CLS]")
                .put("sep_token", "[SEP]").put("mask_token", "[MASK]").toPrettyString();
    }
}
