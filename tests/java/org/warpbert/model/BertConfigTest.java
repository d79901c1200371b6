package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Activation;

class BertConfigTest {
    /** Google's bert_config.json of bert-base-multilingual-cased, shortened: no epsilon, no pad id, extra fields. */
    private static final String GOOGLE = """
            {"attention_probs_dropout_prob": 0.1, "directionality": "bidi", "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 768,
             "initializer_range": 0.02, "intermediate_size": 3072, "max_position_embeddings": 512, "num_attention_heads": 12,
             "num_hidden_layers": 12, "pooler_fc_size": 768, "type_vocab_size": 2, "vocab_size": 119547}""";

    @TempDir
    Path folder;

    private BertConfig read(String json) throws IOException {
        return BertConfig.read(Files.writeString(folder.resolve("config.json"), json));
    }

    @Test
    void readsGooglesSubsetWithDefaults() throws IOException {
        BertConfig config = read(GOOGLE);
        assertEquals(BertConfig.ofSizes(119547, 768, 12, 12, 3072, 512, 2), config);
        assertEquals(64, config.headSize());
        assertEquals(0.1, config.headDropoutProb());
        assertNull(config.id2label());
    }

    @Test
    void everyFieldSurvivesWritingAndReading() {
        BertConfig config = new BertConfig(100, 24, 3, 4, 50, Activation.GELU_TANH, 0.25, 0.125, 0.5, 40, 1, 1e-5, 7, List.of("neg", "중립", "pos"),
                new BertConfig.Use("BertForSequenceClassification", "regression", "regress"));
        Path file = folder.resolve("deep/er/config.json");
        config.write(file);
        assertEquals(config, BertConfig.read(file));
    }

    @Test
    void writesWhatTransformersNeeds() throws IOException {
        BertConfig config = read(GOOGLE);
        Path file = folder.resolve("out.json");
        config.withLabels(List.of("no", "yes")).withUse(new BertConfig.Use("BertForSequenceClassification", null, "pair")).write(file);
        JsonNode json = new ObjectMapper().readTree(file.toFile());
        assertEquals("bert", json.get("model_type").asText());
        assertEquals("[\"BertForSequenceClassification\"]", json.get("architectures").toString());
        assertEquals("pair", json.get("finetuning_task").asText());
        assertFalse(json.has("problem_type"));
        assertEquals("{\"0\":\"no\",\"1\":\"yes\"}", json.get("id2label").toString());
        assertEquals("{\"no\":0,\"yes\":1}", json.get("label2id").toString());
        assertTrue(json.get("classifier_dropout").isNull());
        config.write(file);
        assertEquals("[\"BertModel\"]", new ObjectMapper().readTree(file.toFile()).get("architectures").toString());
    }

    @Test
    void labelsOfTenAndMoreStayInIdOrder() throws IOException {
        BertConfig config = read(GOOGLE).withLabels(List.of("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"));
        config.write(folder.resolve("config.json"));
        assertEquals(config.id2label(), BertConfig.read(folder.resolve("config.json")).id2label());
    }

    @Test
    void dropoutIsReplacedEverywhere() {
        BertConfig config = new BertConfig(100, 24, 3, 4, 50, Activation.RELU, 0.25, 0.125, 0.5, 40, 1, 1e-5, 7, null, null).withDropout(0);
        assertEquals(0, config.hiddenDropoutProb());
        assertEquals(0, config.attentionProbsDropoutProb());
        assertEquals(0, config.headDropoutProb());
    }

    /** What a task keeps stands where transformers keeps such things, under the task's name; other tasks' are not taken for it. */
    @Test
    void aTasksNumbersComeBack() throws IOException {
        BertConfig.Use use = new BertConfig.Use("BertForQuestionAnswering", null, "qa", Map.of("no_answer_threshold", 0.1234567890123));
        Path file = folder.resolve("config.json");
        BertConfig.ofSizes(30, 24, 1, 3, 40, 16, 2).withUse(use).write(file);
        assertEquals(use, BertConfig.read(file).use());
        assertTrue(Files.readString(file).contains("task_specific_params"));
        Files.writeString(file, Files.readString(file).replace("\"qa\" : {", "\"summarization\" : {"));
        assertEquals(Map.of(), BertConfig.read(file).use().settings());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "\"num_attention_heads\": 12 | \"num_attention_heads\": 7  | hidden_size 768 is not a multiple of num_attention_heads 7",
        "\"vocab_size\": 119547      | \"vocab_size\": 0           | vocab_size must be positive, but is 0",
        "\"vocab_size\": 119547      | \"vocab_size\": 1.5         | vocab_size must be an integer, but is 1.5",
        "\"vocab_size\": 119547      | \"vocab_size\": 3000000000  | vocab_size must be an integer",
        "\"vocab_size\": 119547      | \"words\": 1                | the field vocab_size is missing",
        "\"type_vocab_size\": 2      | \"type_vocab_size\": \"2\"  | type_vocab_size must be an integer",
        "\"hidden_dropout_prob\": 0.1| \"hidden_dropout_prob\": 1  | hidden_dropout_prob must lie in [0, 1), but is 1.0",
        "\"hidden_dropout_prob\": 0.1| \"layer_norm_eps\": 0       | layer_norm_eps must lie between 0 and 1",
        "\"hidden_dropout_prob\": 0.1| \"pad_token_id\": 119547    | pad_token_id 119547 is outside the vocabulary of 119547",
        "\"hidden_act\": \"gelu\"    | \"hidden_act\": \"swish\"   | hidden_act 'swish' is not supported; use gelu, gelu_new, gelu_pytorch_tanh, relu or tanh",
        "\"hidden_act\": \"gelu\"    | \"model_type\": \"roberta\" | model_type is 'roberta'; only 'bert' is supported",
        "\"hidden_act\": \"gelu\"    | \"id2label\": {\"0\": \"a\", \"2\": \"c\"} | id2label has 2 labels but none for id 1",
    })
    void badFieldsAreNamedWithTheFile(String field, String replacement, String message) {
        assertTrue(GOOGLE.contains(field), field);
        String text = assertThrows(WarpBertException.class, () -> read(GOOGLE.replace(field, replacement))).getMessage();
        assertTrue(text.contains(message) && text.contains("config.json"), text);
    }

    @Test
    void whatIsNoConfigurationIsOneClearLine() throws IOException {
        for (String json : List.of("", "[1]", "{\"vocab_size\": ", "null")) {
            String text = assertThrows(WarpBertException.class, () -> read(json)).getMessage();
            assertTrue(text.contains("config.json") && !text.contains("\n"), text);
        }
        Path file = folder.resolve("config.json");
        Files.write(file, new byte[] {'{', '"', (byte) 0xff, (byte) 0xfe, '"', ':', '1', '}'});
        assertTrue(assertThrows(WarpBertException.class, () -> BertConfig.read(file)).getMessage().contains("config.json"));
        assertTrue(assertThrows(WarpBertException.class, () -> BertConfig.read(folder.resolve("none.json"))).getMessage().contains("no such file"));
        assertTrue(assertThrows(WarpBertException.class, () -> read(GOOGLE).write(file.resolve("config.json"))).getMessage().contains("Cannot write"));
    }
}
