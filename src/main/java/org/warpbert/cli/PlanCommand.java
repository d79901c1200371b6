package org.warpbert.cli;

import java.nio.file.Path;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.memory.FixedOverhead;
import org.warpbert.memory.MemoryBudget;
import org.warpbert.model.BertConfig;
import org.warpbert.task.Checkpoint;
import org.warpbert.task.Dataset;
import org.warpbert.task.Task;
import org.warpbert.text.BatchLoader;
import org.warpbert.text.BatchSizes;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.TrainingPlan;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What fine-tuning would take, before anything is taken: also for a device that is not there. */
@Command(name = "plan", description = "Say what fine-tuning will take of memory, and how batches will be computed in it.",
        footer = {"", "Whether it fits is said, and no error: the exit code is 0 (--json: fits).", "With --train the real lengths count, else the worst: every text as long as --max-length. Without --model, of a new one, as for pretrain.",
                TaskOptions.DEFAULTS,
                "  warpbert plan --model bert-base-uncased --batch-size 10 --max-length 512 --device cuda --memory 9.07GB",
                "  warpbert plan --task tag --labels 9 --model bert-base-uncased --max-length 256 --memory 4GiB",
                "  warpbert plan --task nsp --layers 4 --hidden 256 --batch-size 64 --memory 2GiB"})
final class PlanCommand extends WarpBertCommand {
    private static final String ABSENT = "cuda"; // the one kind of device that may be planned for where it is not

    @Option(names = "--model", paramLabel = "NAME|DIR", description = "What would be fine-tuned; without it, a new model.")
    private String model;

    @Option(names = "--train", paramLabel = "FILE", description = "Training data, for its real lengths.")
    private Path train;

    @Option(names = "--labels", paramLabel = "N", converter = Count.class, description = "Without --train, classify, pair, tag: so many labels (default: the model's, or 2); choice: candidates (default: 4).")
    private Integer labels;

    @Mixin private TaskOptions tasks;
    @Mixin private NewModelOptions fresh;
    @Mixin private HyperparameterOptions hyper;

    @Mixin private DeviceOptions device;

    @Option(names = "--json", description = "JSON on standard output.")
    private boolean json;

    PlanCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        fresh.check(this, model);
        if (model == null && !fresh.given()) {
            throw usage("Missing what to plan for: --model, or the sizes of a new one");
        }
        if (labels != null && train != null) {
            throw usage("--labels is for a plan without --train: the file says how many there are");
        }
        Task task = train == null ? tasks.withoutData(this) : tasks.get(this);
        if (labels != null) {
            checkLabels(task);
        }
        Hyperparameters checked = checked(() -> hyper.get(task.usualLength()));
        BertConfig sizes = model == null ? fresh.sizes(this) : null;
        if (sizes != null) {
            fresh.checkLength(this, sizes, checked.maxLength());
        }
        if (train != null) {
            task.check(train); // a wrong column is said before a model is downloaded
        }
        if (model != null) {
            fetch(model);
        }
        PlanReport report;
        try (Checkpoint checkpoint = open(sizes)) {
            report = plan(task, checkpoint, checkpoint == null ? fresh.largest(sizes) : checkpoint.config(), checked);
        }
        if (json) {
            terminal.json(report.json());
        } else {
            report.print(terminal);
        }
    }

    /** A number that no model could have is wrong usage; what is assumed here is assumed again once the model is there. */
    private void checkLabels(Task task) {
        checked(() -> {
            task.assume(labels, null);
            return task;
        });
    }

    /** The model; null for a new one where no file is there to tokenize. */
    private Checkpoint open(BertConfig sizes) {
        return model != null ? Checkpoint.open(model) : train == null ? null : Checkpoint.fresh(sizes, fresh.tokenizer(this, train));
    }

    private PlanReport plan(Task task, Checkpoint checkpoint, BertConfig config, Hyperparameters checked) {
        int threads = device.threads == 0 ? Runtime.getRuntime().availableProcessors() : device.threads;
        Checkpoint.checkLength(config, checked.maxLength());
        checked.layerRates().check(config);
        try (Backend backend = backend()) {
            BatchSizes sizes = train == null ? worst(task, checkpoint, checked) : sizes(task, checkpoint, checked);
            String kind = backend == null ? ABSENT : backend.name();
            MemoryBudget budget = budget(backend, kind, threads, BatchLoader.readyBytes(sizes.largest()));
            DeviceSpeed speed = backend == null ? DeviceSpeed.assumed(kind) : DeviceSpeed.measure(backend);
            TrainingPlan plan = new TrainingPlan(config, task.parameters(config), task.head(), dtype(backend), checked.layerRates().frozenLevels(), sizes,
                    null, speed, kind, budget, Long.MAX_VALUE);
            return new PlanReport(plan, sizes, kind, speed);
        }
    }

    /** Every example as large as the task's can be. */
    private BatchSizes worst(Task task, Checkpoint checkpoint, Hyperparameters checked) {
        task.assume(labels, checkpoint);
        return BatchSizes.worst(task.largest(checked.maxLength()), checked.batchSize());
    }

    /** What a run may have; {@code ready}: bytes of batches on Java's heap. */
    private MemoryBudget budget(Backend backend, String kind, int threads, long ready) {
        return device.memory == 0 ? MemoryBudget.limit(backend, 0, ready)
                : new MemoryBudget(device.memory, FixedOverhead.of(kind, threads) + (Backends.isHost(kind) ? ready : 0));
    }

    /** What activations would be in. */
    private Dtype dtype(Backend backend) {
        return backend != null ? backend.dtype() : device.precision.dtype(ABSENT);
    }

    /** The device, or null where it is not here and its memory is given. */
    private Backend backend() {
        try {
            return Backends.open(device.device, device.threads, device.precision);
        } catch (WarpBertException e) {
            if (!device.device.startsWith(ABSENT)) {
                throw e;
            }
            if (device.memory == 0) {
                throw new WarpBertException(e.getMessage() + "; to plan for a GPU that is not here, say what memory it has (--memory)", e);
            }
            return null;
        }
    }

    /** Sizes of all batches that these options make of the training file. */
    private BatchSizes sizes(Task task, Checkpoint checkpoint, Hyperparameters checked) {
        Dataset data = task.read(train);
        data.notes().forEach(terminal::note);
        task.learn(data, checkpoint, terminal::note);
        try (BatchLoader loader = new BatchLoader(task.instances(data, checkpoint.tokenizer(), checked.maxLength()), checked.batchSize(),
                checked.seed(), checked.shuffle())) {
            return loader.sizes(0, checked.epochsBegun(loader.batchesPerEpoch()));
        }
    }
}
