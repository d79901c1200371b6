package org.warpbert.cli;

import java.nio.file.Path;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.backend.Precision;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.memory.FixedOverhead;
import org.warpbert.memory.MemoryBudget;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.ParameterTable;
import org.warpbert.task.Checkpoint;
import org.warpbert.task.ClassificationHead;
import org.warpbert.task.Dataset;
import org.warpbert.task.Task;
import org.warpbert.text.BatchLoader;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.Capacity;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.TrainingPlan;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What fine-tuning would take, before anything is taken: also for a device that is not there. */
@Command(name = "plan", description = "Say what fine-tuning will take of memory, and how batches will be computed in it.",
        footer = {"", "With --train the real lengths count, else the worst: every text as long as --max-length, and a classifier as head.",
                "  warpbert plan --model bert-base-uncased --batch-size 10 --max-length 512 --device cuda --memory 9.07GB"})
final class PlanCommand extends WarpBertCommand {
    private static final String ABSENT = "cuda"; // the one kind of device that may be planned for where it is not
    private static final int CLASSES = 2; // where neither the model nor a file says how many

    @Option(names = "--model", required = true, paramLabel = "NAME|DIR", description = "What would be fine-tuned.")
    private String model;

    @Option(names = "--train", paramLabel = "FILE", description = "Training data, for its real lengths.")
    private Path train;

    @Mixin private TaskOptions tasks;
    @Mixin private HyperparameterOptions hyper;

    @Mixin private DeviceOptions device;

    @Option(names = "--json", description = "JSON on standard output.")
    private boolean json;

    PlanCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        Task task = train == null ? null : tasks.get(this);
        Hyperparameters checked = checked(() -> hyper.get(task == null ? 0 : task.usualLength()));
        if (task != null) {
            task.check(train); // a wrong column is said before a model is downloaded
        }
        fetch(model);
        PlanReport report = plan(checked);
        if (json) {
            terminal.json(report.json());
        } else {
            report.print(terminal);
        }
    }

    private PlanReport plan(Hyperparameters checked) {
        int threads = device.threads == 0 ? Runtime.getRuntime().availableProcessors() : device.threads;
        try (Checkpoint checkpoint = Checkpoint.open(model); Backend backend = open()) {
            checkpoint.checkLength(checked.maxLength());
            checked.layerRates().check(checkpoint.config());
            Task task = train == null ? null : tasks.get(this);
            BatchSizes sizes = task == null ? BatchSizes.worst(Capacity.of(checked.maxLength(), 1), checked.batchSize())
                    : sizes(task, checkpoint, checked);
            BertConfig config = checkpoint.config();
            int classes = checkpoint.classes() == 0 ? CLASSES : checkpoint.classes();
            Head head = task == null ? new ClassificationHead(classes) : task.head();
            ParameterTable table = task == null ? ClassificationHead.parameters(config, classes) : task.parameters(config);
            String kind = backend == null ? ABSENT : backend.name();
            MemoryBudget budget = budget(backend, kind, threads, BatchLoader.readyBytes(sizes.largest()));
            DeviceSpeed speed = backend == null ? DeviceSpeed.assumed(kind) : DeviceSpeed.measure(backend);
            TrainingPlan plan = new TrainingPlan(config, table, head, dtype(backend), checked.layerRates().frozenLevels(), sizes, null, speed, kind, budget, Long.MAX_VALUE);
            return new PlanReport(plan, sizes, kind, speed);
        }
    }

    /** What a run may have; {@code ready}: bytes of batches on Java's heap. */
    private MemoryBudget budget(Backend backend, String kind, int threads, long ready) {
        return device.memory == 0 ? MemoryBudget.limit(backend, 0, ready)
                : new MemoryBudget(device.memory, FixedOverhead.of(kind, threads) + (Backends.isHost(kind) ? ready : 0));
    }

    /** What products would compute in. */
    private Dtype dtype(Backend backend) {
        return backend != null ? device.precision.on(backend).dtype() : device.precision == Precision.AUTO ? Dtype.BF16 : device.precision.dtype();
    }

    /** The device, or null where it is not here and its memory is given. */
    private Backend open() {
        try {
            return Backends.open(device.device, device.threads);
        } catch (WarpBertException e) {
            if (device.memory == 0 || !device.device.startsWith(ABSENT)) {
                throw e;
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
            return loader.sizes(0, checked.epochs());
        }
    }
}
