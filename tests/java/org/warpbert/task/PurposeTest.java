package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.WarpBertException;
import org.warpbert.model.BertConfig;
import org.warpbert.model.ParameterTable;

/** Models whose head has another's name and shape: whoever opens one for what it is not is told, where config.json knows. */
class PurposeTest {
    private static final Compute CPU = Compute.on("cpu").withThreads(1);
    private static final Map<Purpose, BiFunction<String, Compute, AutoCloseable>> OPENERS = new LinkedHashMap<>(Map.of(
            Purpose.TEXTS, TextScorer::load, Purpose.WORDS, TokenTagger::load, Purpose.CHOICE, MultipleChoice::load, Purpose.SPANS, QuestionAnswerer::load));

    @TempDir
    Path folder;

    /** One output on the pooler serves texts, words and choices alike. */
    private String model(String architecture, String problem) throws IOException {
        BertConfig config = TinyModel.config(32, 1).withUse(new BertConfig.Use(architecture, problem, null));
        return TinyModel.write(folder.resolve(architecture), config, ClassificationHead.parameters(config, 1)).toString();
    }

    @Test
    void aHeadForSomethingElseIsNamedWithWhatWasWanted() throws Exception {
        for (Purpose made : List.of(Purpose.TEXTS, Purpose.WORDS, Purpose.CHOICE)) {
            String model = model(made.architecture(), null);
            OPENERS.get(made).apply(model, CPU).close();
            for (Purpose wanted : OPENERS.keySet()) {
                if (wanted != made) {
                    assertEquals(model + " was trained for " + made + ", says its config.json, not for " + wanted,
                            assertThrows(WarpBertException.class, () -> OPENERS.get(wanted).apply(model, CPU)).getMessage());
                }
            }
        }
        assertEquals("tags of words (BertForTokenClassification)", Purpose.WORDS.toString());
        String tagger = folder.resolve("BertForTokenClassification").toString();
        for (BiFunction<String, Compute, AutoCloseable> opener : List.<BiFunction<String, Compute, AutoCloseable>>of(TextClassifier::load, MultiLabelClassifier::load)) {
            String message = assertThrows(WarpBertException.class, () -> opener.apply(tagger, CPU)).getMessage();
            assertTrue(message.contains("was trained for tags of words"), message);
        }
    }

    @Test
    void whereNothingIsKnownTheTensorsDo() throws Exception {
        for (String unknown : List.of("BertModel", "BertForMaskedLM", "SomebodysBert")) {
            String model = model(unknown, null);
            for (Purpose wanted : List.of(Purpose.TEXTS, Purpose.WORDS, Purpose.CHOICE)) {
                OPENERS.get(wanted).apply(model, CPU).close();
            }
        }
    }

    @Test
    void namesOfItsOwnAreBetterThanConfigJson() throws Exception {
        BertConfig config = TinyModel.config(32, 1).withUse(new BertConfig.Use(Purpose.TEXTS.architecture(), null, null));
        ParameterTable both = ParameterTable.bert(config).pooler().classifier(2).span().build();
        QuestionAnswerer.load(TinyModel.write(folder, config, both).toString(), CPU).close();
    }

    @Test
    void classesAreNoNumber() throws Exception {
        String several = model(Purpose.TEXTS.architecture(), "multi_label_classification");
        assertEquals(several + " does not give one number: it is for MultiLabelClassifier",
                assertThrows(WarpBertException.class, () -> TextScorer.load(several, CPU)).getMessage());
        BertConfig config = TinyModel.config(32, 1);
        String classes = TinyModel.write(folder.resolve("three"), config, ClassificationHead.parameters(config, 3)).toString();
        assertEquals(classes + " does not give one number: its head has 3 outputs",
                assertThrows(WarpBertException.class, () -> TextScorer.load(classes, CPU)).getMessage());
    }

    @Test
    void aNumberIsNoClass() throws Exception {
        String number = model("SomebodysBert", null); // of one output, and no labels tell what it is
        assertEquals(number + " does not give one class: it is for TextScorer",
                assertThrows(WarpBertException.class, () -> TextClassifier.load(number, CPU)).getMessage());
    }

    @Test
    void whatATaskSavesIsItsOwn() {
        BertConfig config = TinyModel.config(32, 1);
        assertEquals(Purpose.SPANS, Purpose.of(new QaTask(QaTask.Options.DEFAULT).saved(config)));
        assertEquals(Purpose.CHOICE, Purpose.of(new ChoiceTask().saved(config)));
        assertEquals(Purpose.TEXTS, Purpose.of(new RegressTask(null).saved(config)));
        assertNull(Purpose.of(config));
    }
}
