package org.warpbert.check;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.ByteSize;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.memory.MemoryBudget;
import org.warpbert.model.BertConfig;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Parameters;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.Trainer;
import org.warpbert.train.TrainingPlan;

/**
 * Fine-tuning in a budget, every sequence as long as it can be, AdamW, float32: the settings that ran out of memory elsewhere. What
 * is planned is held, and a GPU's own count of its memory stays within the budget, context and libraries within what was assumed of them. That
 * count is of all processes: a GPU should have no others.
 */
final class BudgetCheck {
    private static final int CLASSES = 2;
    private static final int STEPS = 3;

    private BudgetCheck() {}

    /** bert-base's sizes at 512 tokens on a GPU, two layers of 64 at 64 under simt. */
    static Found check(String device, String memory, int batchSize) {
        boolean gpu = device.equals("cuda");
        BertConfig config = CheckBatches.config(device);
        int length = config.maxPositionEmbeddings();
        ParameterTable table = ClassificationHead.parameters(config, CLASSES);
        try (Backend backend = Backends.open(device, 0)) {
            if (gpu && ByteSize.parse(memory) > backend.totalBytes()) {
                return Found.skipped(String.format(Locale.ROOT, "the device has %,d bytes", backend.totalBytes()));
            }
            MemoryBudget budget = MemoryBudget.limit(backend, ByteSize.parse(memory));
            BatchSizes sizes = BatchSizes.worst(Capacity.of(length, 1), batchSize);
            TrainingPlan plan = new TrainingPlan(config, table, new ClassificationHead(CLASSES), Dtype.F32, 0, sizes, null,
                    DeviceSpeed.assumed(backend.name()), backend.name(), budget, backend.freeBytes());
            plan.require();
            List<String> notes = new ArrayList<>();
            try (Parameters parameters = Parameters.random(backend, table, 7);
                    Trainer trainer = new Trainer(backend, config, parameters, new ClassificationHead(CLASSES), Hyperparameters.DEFAULT, STEPS, plan, notes::add)) {
                for (int step = 0; step < STEPS; step++) {
                    trainer.step(batch(new SplittableRandom(step), config, batchSize, length));
                }
                long held = backend.allocatedBytes();
                backend.limit(Long.MAX_VALUE); // free is then the device's own word
                long used = gpu ? backend.totalBytes() - backend.freeBytes() : held; // the host's memory is everybody's
                return found(plan, held, used, notes);
            }
        }
    }

    private static Found found(TrainingPlan plan, long held, long used, List<String> notes) {
        long planned = plan.memory().bytes();
        Map<String, Object> figures = new LinkedHashMap<>();
        figures.put("budget_bytes", plan.budget().total());
        figures.put("planned_bytes", planned);
        figures.put("held_bytes", held);
        figures.put("used_bytes", used);
        figures.put("overhead_bytes", used - held);
        figures.put("overhead_assumed_bytes", plan.budget().overhead());
        figures.put("accumulation_steps", plan.choice().parts());
        figures.put("recompute", plan.choice().recompute().toString());
        String detail = String.format(Locale.ROOT, "%,d bytes planned and %,d held, %,d of %,d used (%+.1f%% predicted), %,d of %,d besides, in %d micro-batches, recomputing %s%s",
                planned, held, used, plan.budget().total(), 100.0 * (plan.predictedPeak() - used) / used, used - held, plan.budget().overhead(), plan.choice().parts(), plan.choice().recompute(),
                notes.isEmpty() ? "" : "; " + String.join("; ", notes));
        boolean within = used <= plan.budget().total() && used - held <= plan.budget().overhead();
        return planned == held && within && notes.isEmpty() ? Found.passed(detail, figures) : Found.failed(detail, figures);
    }

    private static PackedBatch batch(SplittableRandom random, BertConfig config, int count, int length) {
        List<Encoded> sequences = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            sequences.add(new Encoded(random.ints(length, 0, config.vocabSize()).toArray(), new byte[length], false));
        }
        return PackedBatch.of(sequences, random.ints(count, 0, CLASSES).toArray());
    }
}
