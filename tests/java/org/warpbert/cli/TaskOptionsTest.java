package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.model.BertConfig;
import org.warpbert.task.TinyModel;

/** What {@code predict} and {@code evaluate} take a model for, whoever made it. */
class TaskOptionsTest {
    @ParameterizedTest
    @CsvSource({
        "BertForSequenceClassification, , , classify",
        "BertForSequenceClassification, regression, , regress",
        "BertForSequenceClassification, , pair, pair",
        "BertForTokenClassification, , ner, tag",
        "BertForQuestionAnswering, , , qa",
        "BertForMultipleChoice, , , choice",
        "BertModel, , , classify"})
    void aModelSaysWhatItIsFor(String architecture, String problem, String task, String expected) {
        assertEquals(expected, TaskOptions.name(TinyModel.config(32, 1).withUse(new BertConfig.Use(architecture, problem, task))));
    }
}
