package org.warpbert.model;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Activation;
import org.warpbert.format.AtomicFile;

/**
 * The sizes and constants of a BERT, as Hugging Face's {@code config.json} holds them.
 *
 * @param vocabSize                 rows of the word embeddings, V
 * @param hiddenSize                width of every activation, H; a multiple of the heads
 * @param numHiddenLayers           encoder layers, L
 * @param numAttentionHeads         heads per layer, A
 * @param intermediateSize          width of the feed-forward layer, I
 * @param hiddenAct                 activation of the feed-forward layer
 * @param hiddenDropoutProb         dropout after embeddings and sublayers, in [0, 1)
 * @param attentionProbsDropoutProb dropout of the attention probabilities, in [0, 1)
 * @param classifierDropout         dropout before a head; null means {@code hiddenDropoutProb}
 * @param maxPositionEmbeddings     rows of the position embeddings, the longest sequence, P
 * @param typeVocabSize             rows of the segment embeddings
 * @param layerNormEps              epsilon of every LayerNorm
 * @param padTokenId                id of {@code [PAD]}
 * @param id2label                  the head's label names in id order, or null where there is no head
 * @param use                       what the model is for, {@link Use#NONE} where nothing says
 */
public record BertConfig(
        int vocabSize, int hiddenSize, int numHiddenLayers, int numAttentionHeads, int intermediateSize,
        Activation hiddenAct, double hiddenDropoutProb, double attentionProbsDropoutProb, Double classifierDropout,
        int maxPositionEmbeddings, int typeVocabSize, double layerNormEps, int padTokenId, List<String> id2label, Use use) {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final double MOST_PARAMETERS = 1e12; // far from where sums of bytes overflow, and 4 TB

    /**
     * What a model was made for.
     *
     * @param architecture transformers' class that opens it, such as BertForSequenceClassification
     * @param problem      transformers' {@code problem_type}, which tells the losses of one architecture apart, or null
     * @param task         {@code finetuning_task}: the name of a task of ours, or whatever its maker wrote; or null
     * @param settings     numbers that the task keeps with the model (a threshold), by name: {@code task_specific_params} under
     *                     the task's name
     */
    public record Use(String architecture, String problem, String task, Map<String, Double> settings) {
        public Use {
            settings = Map.copyOf(settings);
        }

        /** Of a task that keeps nothing. */
        public Use(String architecture, String problem, String task) {
            this(architecture, problem, task, Map.of());
        }

        /** The encoder alone. */
        public static final Use NONE = new Use("BertModel", null, null);
    }

    public BertConfig {
        positive("vocab_size", vocabSize);
        positive("hidden_size", hiddenSize);
        positive("num_hidden_layers", numHiddenLayers);
        positive("num_attention_heads", numAttentionHeads);
        positive("intermediate_size", intermediateSize);
        positive("max_position_embeddings", maxPositionEmbeddings);
        positive("type_vocab_size", typeVocabSize);
        double parameters = numHiddenLayers * (4.0 * hiddenSize + 2.0 * intermediateSize) * hiddenSize
                + ((double) vocabSize + maxPositionEmbeddings + typeVocabSize) * hiddenSize;
        if (parameters > MOST_PARAMETERS)
            throw new WarpBertException(String.format(Locale.ROOT, "hidden_size %d, intermediate_size %d, num_hidden_layers %d, vocab_size %d and "
                    + "max_position_embeddings %d are %.1g parameters, more than any machine could hold.",
                    hiddenSize, intermediateSize, numHiddenLayers, vocabSize, maxPositionEmbeddings, parameters));
        if (hiddenSize % numAttentionHeads != 0)
            throw new WarpBertException("hidden_size " + hiddenSize + " is not a multiple of num_attention_heads " + numAttentionHeads + ".");
        probability("hidden_dropout_prob", hiddenDropoutProb);
        probability("attention_probs_dropout_prob", attentionProbsDropoutProb);
        if (classifierDropout != null) probability("classifier_dropout", classifierDropout);
        if (!(layerNormEps > 0 && layerNormEps < 1))
            throw new WarpBertException("layer_norm_eps must lie between 0 and 1, but is " + layerNormEps + ".");
        if (padTokenId < 0 || padTokenId >= vocabSize)
            throw new WarpBertException("pad_token_id " + padTokenId + " is outside the vocabulary of " + vocabSize + " pieces.");
        if (hiddenAct == null) throw new WarpBertException("hidden_act is missing.");
        if (id2label != null) id2label = List.copyOf(id2label);
        if (use == null) use = Use.NONE;
    }

    /** A configuration of these sizes, with BERT's constants (GELU, dropout 0.1, epsilon 1e-12, pad id 0, no labels). */
    public static BertConfig ofSizes(int vocabSize, int hiddenSize, int layers, int heads, int intermediateSize, int maxPositions, int typeVocabSize) {
        return new BertConfig(vocabSize, hiddenSize, layers, heads, intermediateSize, Activation.GELU, 0.1, 0.1, null,
                maxPositions, typeVocabSize, 1e-12, 0, null, null);
    }

    /** Width of one attention head, H / A. */
    public int headSize() {
        return hiddenSize / numAttentionHeads;
    }

    /** Dropout before a head: {@code classifier_dropout}, or the hidden dropout where that is not given. */
    public double headDropoutProb() {
        return classifierDropout != null ? classifierDropout : hiddenDropoutProb;
    }

    /** The same model with every dropout probability set to this one. */
    public BertConfig withDropout(double probability) {
        return new BertConfig(vocabSize, hiddenSize, numHiddenLayers, numAttentionHeads, intermediateSize, hiddenAct,
                probability, probability, classifierDropout == null ? null : (Double) probability,
                maxPositionEmbeddings, typeVocabSize, layerNormEps, padTokenId, id2label, use);
    }

    /** The same model with these label names (null: none). */
    public BertConfig withLabels(List<String> labels) {
        return new BertConfig(vocabSize, hiddenSize, numHiddenLayers, numAttentionHeads, intermediateSize, hiddenAct,
                hiddenDropoutProb, attentionProbsDropoutProb, classifierDropout,
                maxPositionEmbeddings, typeVocabSize, layerNormEps, padTokenId, labels, use);
    }

    /** The same model with a vocabulary of so many pieces, [PAD] at this place. */
    public BertConfig withVocabulary(int pieces, int padTokenId) {
        return new BertConfig(pieces, hiddenSize, numHiddenLayers, numAttentionHeads, intermediateSize, hiddenAct,
                hiddenDropoutProb, attentionProbsDropoutProb, classifierDropout,
                maxPositionEmbeddings, typeVocabSize, layerNormEps, padTokenId, id2label, use);
    }

    /** The same model for another use. */
    public BertConfig withUse(Use other) {
        return new BertConfig(vocabSize, hiddenSize, numHiddenLayers, numAttentionHeads, intermediateSize, hiddenAct,
                hiddenDropoutProb, attentionProbsDropoutProb, classifierDropout,
                maxPositionEmbeddings, typeVocabSize, layerNormEps, padTokenId, id2label, other);
    }

    /**
     * Reads {@code config.json} (or Google's {@code bert_config.json}, which holds a subset). What a file leaves out
     * has the default that transformers gives it; the sizes must be there. Errors name the file and the field.
     */
    public static BertConfig read(Path file) {
        try {
            JsonNode json = JSON.readTree(Files.readAllBytes(file));
            if (json == null || !json.isObject()) throw new WarpBertException("it is not a JSON object.");
            return fromJson(json);
        } catch (IOException e) {
            throw new WarpBertException("Cannot read " + file + ": " + AtomicFile.reason(e) + ".", e);
        } catch (WarpBertException e) {
            throw new WarpBertException("Cannot use " + file + ": " + e.getMessage(), e);
        }
    }

    private static BertConfig fromJson(JsonNode json) {
        require(json, "model_type", "bert");
        require(json, "position_embedding_type", "absolute");
        if (json.path("is_decoder").asBoolean(false)) throw new WarpBertException("is_decoder is true; only encoders are supported.");
        JsonNode classifierDropout = json.path("classifier_dropout");
        return new BertConfig(
                integer(json, "vocab_size", null), integer(json, "hidden_size", null),
                integer(json, "num_hidden_layers", null), integer(json, "num_attention_heads", null),
                integer(json, "intermediate_size", null), Activation.of(json.path("hidden_act").asText("gelu")),
                number(json, "hidden_dropout_prob", 0.1), number(json, "attention_probs_dropout_prob", 0.1),
                classifierDropout.isNull() || classifierDropout.isMissingNode() ? null : (Double) number(json, "classifier_dropout", 0.1),
                integer(json, "max_position_embeddings", 512), integer(json, "type_vocab_size", 2),
                number(json, "layer_norm_eps", 1e-12), integer(json, "pad_token_id", 0), labels(json.path("id2label")),
                use(json));
    }

    private static Use use(JsonNode json) {
        String task = json.path("finetuning_task").asText(null);
        Map<String, Double> settings = new LinkedHashMap<>();
        json.path("task_specific_params").path(task == null ? "" : task).fields().forEachRemaining(setting -> {
            if (setting.getValue().isNumber()) settings.put(setting.getKey(), setting.getValue().doubleValue());
        });
        return new Use(json.path("architectures").path(0).asText(Use.NONE.architecture), json.path("problem_type").asText(null), task, settings);
    }

    /** Writes {@code config.json}, atomically, as transformers reads it; a model of no known use is a {@code BertModel}. */
    public void write(Path file) {
        ObjectNode json = JSON.createObjectNode();
        json.putArray("architectures").add(use.architecture);
        if (use.problem != null) json.put("problem_type", use.problem);
        if (use.task != null) json.put("finetuning_task", use.task);
        if (!use.settings.isEmpty()) {
            ObjectNode settings = json.putObject("task_specific_params").putObject(use.task);
            use.settings.forEach(settings::put);
        }
        json.put("model_type", "bert").put("vocab_size", vocabSize).put("hidden_size", hiddenSize)
                .put("num_hidden_layers", numHiddenLayers).put("num_attention_heads", numAttentionHeads)
                .put("intermediate_size", intermediateSize).put("hidden_act", hiddenAct.configName())
                .put("hidden_dropout_prob", hiddenDropoutProb).put("attention_probs_dropout_prob", attentionProbsDropoutProb)
                .put("classifier_dropout", classifierDropout)
                .put("max_position_embeddings", maxPositionEmbeddings).put("type_vocab_size", typeVocabSize)
                .put("layer_norm_eps", layerNormEps).put("pad_token_id", padTokenId)
                .put("position_embedding_type", "absolute").put("torch_dtype", "float32");
        if (id2label != null) {
            ObjectNode names = json.putObject("id2label");
            ObjectNode ids = json.putObject("label2id");
            for (int id = 0; id < id2label.size(); id++) {
                names.put(Integer.toString(id), id2label.get(id));
                ids.put(id2label.get(id), id);
            }
        }
        try {
            AtomicFile.write(file, JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(json));
        } catch (JsonProcessingException e) {
            throw new WarpBertException("Cannot write " + file + ": " + e.getOriginalMessage() + ".", e);
        }
    }

    private static List<String> labels(JsonNode map) {
        if (map.isMissingNode() || map.isNull()) return null;
        List<String> labels = new ArrayList<>();
        for (int id = 0; id < map.size(); id++) {
            JsonNode name = map.get(Integer.toString(id));
            if (name == null) throw new WarpBertException("id2label has " + map.size() + " labels but none for id " + id + ".");
            labels.add(name.asText());
        }
        return labels;
    }

    private static void require(JsonNode json, String field, String value) {
        String found = json.path(field).asText(value);
        if (!found.equals(value)) throw new WarpBertException(field + " is '" + found + "'; only '" + value + "' is supported.");
    }

    private static int integer(JsonNode json, String field, Integer otherwise) {
        JsonNode value = json.path(field);
        if (value.isMissingNode() || value.isNull()) {
            if (otherwise == null) throw new WarpBertException("the field " + field + " is missing.");
            return otherwise;
        }
        if (!value.isIntegralNumber() || !value.canConvertToInt()) throw new WarpBertException(field + " must be an integer, but is " + value + ".");
        return value.intValue();
    }

    private static double number(JsonNode json, String field, double otherwise) {
        JsonNode value = json.path(field);
        if (value.isMissingNode() || value.isNull()) return otherwise;
        if (!value.isNumber()) throw new WarpBertException(field + " must be a number, but is " + value + ".");
        return value.doubleValue();
    }

    private static void positive(String field, int value) {
        if (value <= 0) throw new WarpBertException(field + " must be positive, but is " + value + ".");
    }

    private static void probability(String field, double value) {
        if (!(value >= 0 && value < 1)) throw new WarpBertException(field + " must lie in [0, 1), but is " + value + ".");
    }
}
