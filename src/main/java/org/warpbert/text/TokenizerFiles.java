package org.warpbert.text;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.warpbert.WarpBertException;

/** The three files in which Hugging Face keeps a BERT tokenizer: vocab.txt, tokenizer.json, tokenizer_config.json. */
final class TokenizerFiles {
    static final String VOCABULARY = "vocab.txt";
    static final String TOKENIZER = "tokenizer.json";
    static final String CONFIG = "tokenizer_config.json";
    private static final ObjectMapper JSON = new ObjectMapper();

    private TokenizerFiles() {
    }

    /** What a tokenizer is made from. */
    record Parts(List<String> vocabulary, boolean lowerCase) {
    }

    /** A model folder's tokenizer: vocab.txt where there is one, else the vocabulary in tokenizer.json. */
    static Parts read(Path directory) {
        Path vocabularyFile = directory.resolve(VOCABULARY);
        Path tokenizerFile = directory.resolve(TOKENIZER);
        Path configFile = directory.resolve(CONFIG);
        try {
            if (Files.exists(vocabularyFile)) {
                // BERT's own default is to lower-case, so that is what a folder without a word on it means
                boolean lowerCase = true;
                if (Files.exists(configFile)) {
                    lowerCase = json(configFile).path("do_lower_case").asBoolean(true);
                } else if (Files.exists(tokenizerFile)) {
                    lowerCase = json(tokenizerFile).path("normalizer").path("lowercase").asBoolean(true);
                }
                return new Parts(readVocabulary(vocabularyFile), lowerCase);
            }
            if (Files.exists(tokenizerFile)) {
                return parts(json(tokenizerFile), tokenizerFile.toString());
            }
        } catch (IOException e) {
            throw new WarpBertException("The tokenizer in " + directory + " cannot be read: " + e.getMessage(), e);
        }
        throw new WarpBertException("There is neither " + VOCABULARY + " nor " + TOKENIZER + " in " + directory
                + "; a model folder needs one of them.");
    }

    /** A vocab.txt: one piece a line, its line number (from 0) is its id. */
    static List<String> readVocabulary(Path file) throws IOException {
        try {
            return Files.readAllLines(file);
        } catch (CharacterCodingException e) {
            throw new WarpBertException(file + " is not UTF-8; is it a vocabulary?", e);
        }
    }

    static Parts read(InputStream tokenizerJson, String name) {
        try {
            return parts(JSON.readTree(tokenizerJson), name);
        } catch (IOException e) {
            throw new WarpBertException(name + " cannot be read as a tokenizer.json: " + e.getMessage(), e);
        }
    }

    private static JsonNode json(Path file) throws IOException {
        return JSON.readTree(file.toFile());
    }

    private static Parts parts(JsonNode tokenizer, String name) {
        JsonNode model = tokenizer.path("model");
        // early files carry no type; what tells WordPiece from BPE and Unigram then is its word limit
        if (!model.path("vocab").isObject()
                || !(model.path("type").asText().equals("WordPiece") || model.has("max_input_chars_per_word"))) {
            throw new WarpBertException(name + " holds a tokenizer of type '" + model.path("type").asText("unknown")
                    + "'; BERT needs WordPiece.");
        }
        List<String> vocabulary = new ArrayList<>(Collections.nCopies(model.get("vocab").size(), null));
        for (Map.Entry<String, JsonNode> piece : model.get("vocab").properties()) {
            int id = piece.getValue().asInt(-1);
            if (id < 0 || id >= vocabulary.size() || vocabulary.get(id) != null) {
                throw new WarpBertException(name + " gives the piece '" + piece.getKey() + "' the id "
                        + piece.getValue() + "; the ids must run from 0 to " + (vocabulary.size() - 1)
                        + ", each once.");
            }
            vocabulary.set(id, piece.getKey());
        }
        return new Parts(vocabulary, tokenizer.path("normalizer").path("lowercase").asBoolean(true));
    }

    /** Writes the three files, each to a temporary neighbour first, so that none is ever half there. */
    static void write(Path directory, List<String> vocabulary, boolean lowerCase, int modelMaxLength) {
        try {
            Files.createDirectories(directory);
            replace(directory.resolve(VOCABULARY), String.join("\n", vocabulary) + "\n");
            replace(directory.resolve(TOKENIZER), tokenizerJson(vocabulary, lowerCase));
            replace(directory.resolve(CONFIG), configJson(lowerCase, modelMaxLength));
        } catch (IOException e) {
            throw new WarpBertException("The tokenizer files cannot be written to " + directory + ": " + e, e);
        }
    }

    private static void replace(Path file, String text) throws IOException {
        Path temporary = Files.createTempFile(file.getParent(), file.getFileName().toString(), ".tmp");
        try {
            Files.writeString(temporary, text);
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    /** The tokenizer.json that Hugging Face writes for BERT. A piece that stands twice keeps its last id, as there. */
    static String tokenizerJson(List<String> vocabulary, boolean lowerCase) {
        ObjectNode root = JSON.createObjectNode();
        root.put("version", "1.0").putNull("truncation").putNull("padding");
        ArrayNode added = root.putArray("added_tokens");
        for (String special : WordPieceTokenizer.SPECIALS) {
            added.addObject().put("id", vocabulary.indexOf(special)).put("content", special).put("single_word", false)
                    .put("lstrip", false).put("rstrip", false).put("normalized", false).put("special", true);
        }
        root.putObject("normalizer").put("type", "BertNormalizer").put("clean_text", true)
                .put("handle_chinese_chars", true).putNull("strip_accents").put("lowercase", lowerCase);
        root.putObject("pre_tokenizer").put("type", "BertPreTokenizer");
        root.set("post_processor", template(vocabulary));
        root.putObject("decoder").put("type", "WordPiece").put("prefix", "##").put("cleanup", true);
        ObjectNode model = root.putObject("model").put("type", "WordPiece").put("unk_token", "[UNK]")
                .put("continuing_subword_prefix", "##").put("max_input_chars_per_word", 100);
        ObjectNode pieces = model.putObject("vocab");
        for (int id = 0; id < vocabulary.size(); id++) {
            pieces.put(vocabulary.get(id), id);
        }
        return root.toString();
    }

    /** {@code [CLS] A [SEP]} and {@code [CLS] A [SEP] B [SEP]}. */
    private static ObjectNode template(List<String> vocabulary) {
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
            entry.putArray("ids").add(vocabulary.indexOf(special));
            entry.putArray("tokens").add(special);
        }
        return template;
    }

    private static void part(ArrayNode sequence, String kind, String id, int segment) {
        sequence.addObject().putObject(kind).put("id", id).put("type_id", segment);
    }

    private static String configJson(boolean lowerCase, int modelMaxLength) {
        return JSON.createObjectNode().put("tokenizer_class", "BertTokenizer").put("do_lower_case", lowerCase)
                .put("model_max_length", modelMaxLength).putNull("strip_accents").put("tokenize_chinese_chars", true)
                .put("pad_token", "[PAD]").put("unk_token", "[UNK]").put("cls_token", "[CLS]")
                .put("sep_token", "[SEP]").put("mask_token", "[MASK]").toPrettyString();
    }
}
