package org.warpbert.task;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.BiConsumer;
import org.warpbert.WarpBertException;
import org.warpbert.model.BertModel;
import org.warpbert.model.Head;
import org.warpbert.text.BatchLoader;
import org.warpbert.text.Example;
import org.warpbert.text.InstanceSource;
import org.warpbert.text.LabelledTexts;
import org.warpbert.text.PackedBatch;

/** One pass of a model over texts, in order, batch by batch. */
final class Inference {
    private Inference() {}

    /** Runs {@code each} after every batch's forward. */
    static void run(OpenModel opened, Head head, List<String> texts, List<String> pairs, int maxLength, int batchSize,
            BiConsumer<BertModel, PackedBatch> each) {
        if (pairs != null && pairs.size() != texts.size()) {
            throw new WarpBertException(texts.size() + " texts were given " + pairs.size() + " second texts");
        }
        if (texts.isEmpty()) {
            return;
        }
        List<Example> examples = new ArrayList<>(texts.size());
        for (int i = 0; i < texts.size(); i++) {
            examples.add(new Example(i + 1L, texts.get(i), pairs == null ? null : pairs.get(i), null));
        }
        run(opened, head, new LabelledTexts(opened.tokenizer(), examples, null, maxLength), batchSize, each);
    }

    /** The same for all examples of a source. */
    static void run(OpenModel opened, Head head, InstanceSource source, int batchSize, BiConsumer<BertModel, PackedBatch> each) {
        try (BatchLoader loader = new BatchLoader(source, batchSize, 0, false);
                BertModel model = new BertModel(opened.backend(), opened.config(), opened.parameters(), null, head, loader.capacity(0, 1))) {
            for (Iterator<PackedBatch> batches = loader.epoch(0, 0); batches.hasNext(); ) {
                PackedBatch batch = batches.next();
                model.forward(batch);
                each.accept(model, batch);
            }
        }
    }
}
