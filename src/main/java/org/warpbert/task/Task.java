package org.warpbert.task;

import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.warpbert.WarpBertException;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.ParameterTable;
import org.warpbert.text.Capacity;
import org.warpbert.text.InstanceSource;
import org.warpbert.text.WordPieceTokenizer;

/**
 * A kind of work to fine-tune for: what its data are, what stands on the encoder, how it is judged. An object of it serves
 * one run: first {@link #learn} or {@link #open}, which fix the labels, then the rest.
 */
public interface Task {
    /** As {@code --task} names it and {@code finetuning_task} of a config.json keeps it. */
    String name();

    /** What was chosen of it beside the name: a record, as JSON can say it, or null. A run that goes on must have the same. */
    Object settings();

    /** Most tokens of a sequence where a user names none; 0: what is usual for the command. */
    default int usualLength() {
        return 0;
    }

    /** What becomes of an example that is too long. */
    default String truncation(int maxLength) {
        return Inference.cutTo(maxLength);
    }

    /** Reads a file of labelled examples. */
    Dataset read(Path file);

    /** Fails where a file cannot be this task's data, without reading more than its beginning: before a model is fetched. */
    default void check(Path file) {}

    /** Fixes what the head is to look like: from the training data, and from the model's own head where it has a fitting one. */
    default void learn(Dataset train, Checkpoint model, Consumer<String> note) {}

    /** As {@link #learn}, from a finished model; one without this task's head is an error. */
    default void open(Checkpoint model) {}

    /**
     * As {@link #learn} where there are no data yet, to plan.
     *
     * @param labels how many the head is to have, candidates for a choice; null: as many as the model has, or as are usual
     * @param model  null: a new one
     */
    default void assume(Integer labels, Checkpoint model) {
        if (labels != null) {
            throw new WarpBertException("the task " + name() + " has a head of one size: a number of labels (--labels) is not for it");
        }
    }

    /** The most that an example of the task can hold, of so many tokens a sequence. */
    default Capacity largest(int maxLength) {
        return Capacity.of(maxLength, 1);
    }

    /** The model's parameters, the head's among them. */
    ParameterTable parameters(BertConfig config);

    /** A head for one model; several may live at a time. */
    Head head();

    /**
     * What batches are made of.
     *
     * @param maxLength most tokens of a sequence, special tokens included
     */
    InstanceSource instances(Dataset data, WordPieceTokenizer tokenizer, int maxLength);

    /** Judges by what a head of {@link #head} says of all instances of {@code data}, in order. */
    Judge judge(Dataset data, InstanceSource instances, Head head);

    /** The metrics that say which of two epochs is better, larger being better, the task's own first; the loss is always one. */
    List<String> metrics();

    /** The configuration to save: labels, use. */
    BertConfig saved(BertConfig config);
}
