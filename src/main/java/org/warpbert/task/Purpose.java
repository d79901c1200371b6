package org.warpbert.task;

import java.util.Arrays;
import org.warpbert.model.BertConfig;

/** What a model was fine-tuned for, as far as its config.json tells: the heads of three of these have the same names. */
public enum Purpose {
    TEXTS("BertForSequenceClassification", ClassifyTask.NAME, "classes or numbers of texts"),
    WORDS("BertForTokenClassification", TagTask.NAME, "tags of words"),
    SPANS("BertForQuestionAnswering", QaTask.NAME, "answers to questions"),
    CHOICE("BertForMultipleChoice", ChoiceTask.NAME, "a choice among candidates");

    private final String architecture;
    private final String task;
    private final String what;

    Purpose(String architecture, String task, String what) {
        this.architecture = architecture;
        this.task = task;
        this.what = what;
    }

    /** What a model says it is for; null where that is nothing of these, or it says nothing. */
    public static Purpose of(BertConfig model) {
        return Arrays.stream(values()).filter(purpose -> purpose.architecture.equals(model.use().architecture())).findFirst().orElse(null);
    }

    /** transformers' class that opens such a model. */
    String architecture() {
        return architecture;
    }

    /** The usual task of such a model. */
    public String task() {
        return task;
    }

    /** For messages. */
    @Override
    public String toString() {
        return what + " (" + architecture + ")";
    }
}
