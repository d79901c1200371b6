package org.warpbert.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.BatchPlanner.Choice;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.memory.MemoryBudget;
import org.warpbert.memory.ProcessMemory;
import org.warpbert.memory.Recompute;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Parameters;
import org.warpbert.model.PassPlan;
import org.warpbert.model.PassPlanner;
import org.warpbert.model.PlannedModel;
import org.warpbert.model.WeightFormat;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.Schedule;
import org.warpbert.train.Trainer;
import org.warpbert.train.TrainingPlan;

/** Runs a measurement on a device of its own. */
public final class Benchmark {
    private static final long SEED = 42;
    private static final int FIRST_WORD = 1000; // below are [unused] and special tokens

    private final Report.Settings settings;
    private final BenchModel model;
    private final Backend backend;
    private final MemoryBudget budget;
    private final Dtype dtype;
    private final Roofline roofline;
    private final int[] lengths;
    private final int paddedLength;
    private final Work work;

    private Benchmark(Report.Settings settings, BenchModel model, Backend backend, MemoryBudget budget) {
        this.budget = budget;
        this.settings = settings;
        this.model = model;
        this.backend = backend;
        Lengths source = Lengths.parse(settings.lengths());
        lengths = source.batch(settings.batchSize(), SEED);
        paddedLength = source.paddedLength();
        work = Work.of(settings.model(), model.config(), model.table().parameters(), source, settings.padded(), lengths);
        requirePositions(source);
        dtype = settings.precision().on(backend).dtype();
        roofline = Roofline.measure(backend, dtype);
    }

    private void requirePositions(Lengths source) {
        int positions = model.config().maxPositionEmbeddings();
        int longest = settings.padded() ? source.paddedLength() : Arrays.stream(lengths).max().orElseThrow();
        if (longest > positions) {
            throw new WarpBertException("--lengths " + source.name() + " gives sequences of " + longest + " tokens, " + settings.model()
                    + " has " + positions + " positions");
        }
    }

    /** {@link #run(Report.Settings, long)} in the memory that is free. */
    public static Report run(Report.Settings settings) {
        return run(settings, 0);
    }

    /**
     * Measures what the settings ask for.
     *
     * @param memory the most to take, see {@link MemoryBudget}; 0: what is free, less a margin. A batch that does not fit whole
     *               is measured in parts, and its figure says so
     */
    public static Report run(Report.Settings settings, long memory) {
        BenchModel model = BenchModel.of(settings.model());
        try (Backend backend = Backends.open(settings.device(), settings.threads())) {
            Benchmark benchmark = new Benchmark(settings, model, backend, MemoryBudget.limit(backend, memory));
            List<Report.Figure> figures = switch (settings.what()) {
                case OPS -> benchmark.ops();
                case TRAIN -> benchmark.train();
                case INFER -> benchmark.infer();
            };
            return new Report(settings, Machine.of(backend), benchmark.roofline.gemmGflops(), benchmark.roofline.copyGbPerSecond(),
                    benchmark.work, Work.FORMULA, figures, ProcessMemory.peakResidentBytes());
        }
    }

    /** Every op on its own, at this model's and batch's shapes. */
    private List<Report.Figure> ops() {
        List<Report.Figure> figures = new ArrayList<>();
        try (Tensors tensors = new Tensors(backend)) {
            LayerOps layer = new LayerOps(backend, dtype, model.config(), batch(lengths, paddedLength), tensors);
            for (List<Op> group : List.of(layer.products(), layer.attention(), layer.elementwise(), layer.embeddings(), layer.heads())) {
                group.forEach(op -> figures.add(op.measure(backend, roofline, settings.warmup(), settings.repeats())));
            }
        }
        try (Tensors tensors = new Tensors(backend)) {
            OptimizerOps.of(backend, dtype, model.table(), tensors)
                    .forEach(op -> figures.add(op.measure(backend, roofline, settings.warmup(), settings.repeats())));
        }
        return figures;
    }

    /** A whole fine-tuning step: forward, backward, clipping and AdamW. */
    private List<Report.Figure> train() {
        PackedBatch batch = batch(lengths, paddedLength);
        Hyperparameters hyper = new Hyperparameters(1, batch.sequences(), Math.max(3, batch.maxSeqlen()), 2e-5, 0, 0.01, 1.0, null,
                Schedule.CONSTANT, 0, 0, SEED, false);
        TrainingPlan plan = new TrainingPlan(model.config(), model.table(), new ClassificationHead(BenchModel.CLASSES), dtype, 0, BatchSizes.of(batch), null,
                DeviceSpeed.assumed(backend.name()), backend.name(), budget, backend.freeBytes());
        plan.require();
        try (Parameters parameters = model.parameters(backend, new WeightFormat(dtype, true));
                Trainer trainer = new Trainer(backend, model.config(), parameters, new ClassificationHead(BenchModel.CLASSES), hyper,
                        settings.warmup() + settings.repeats(), plan, line -> {})) {
            long before = backend.gemm().nanos();
            long start = System.nanoTime();
            Timing timing = Timing.measure("training step", settings.warmup(), settings.repeats(), () -> trainer.submit(batch)); // waits for the step before
            trainer.finish();
            double products = (backend.gemm().nanos() - before) / (double) (System.nanoTime() - start);
            Map<String, Double> rates = rates(timing, work.realTokens(), work.trainGflop());
            rates.put("products_share_of_time", products);
            return List.of(new Report.Figure(timing, "forward, backward, clip, AdamW" + inParts(trainer.choice())
                    + (plan.moments() == Dtype.F32 ? "" : ", moments in " + plan.moments()), rates));
        }
    }

    /** One sequence of the batch's mean length, for latency; then the batch. */
    private List<Report.Figure> infer() {
        BertConfig config = model.config();
        int mean = Math.max(1, Math.round((float) work.realTokens() / lengths.length));
        try (Parameters parameters = model.parameters(backend, new WeightFormat(dtype, false))) {
            Work one = Work.of(settings.model(), config, work.parameters(), Lengths.parse("fixed:" + mean), false, new int[] {mean});
            return List.of(infer("latency", parameters, new int[] {mean}, mean, one), infer("batch", parameters, lengths, paddedLength, work));
        }
    }

    private Report.Figure infer(String name, Parameters parameters, int[] sequences, int length, Work asked) {
        PackedBatch batch = batch(sequences, length);
        ClassificationHead head = new ClassificationHead(BenchModel.CLASSES);
        try (PlannedModel encoder = new PlannedModel(backend, model.config(), parameters, null, head,
                planner(parameters, batch), line -> {})) {
            Timing timing = Timing.measure(name, settings.warmup(), settings.repeats(),
                    () -> encoder.infer(batch, false, (pass, part) -> head.logits())); // on the host: all is done
            Map<String, Double> rates = rates(timing, asked.realTokens(), asked.inferGflop());
            rates.put("sequences_per_second", sequences.length / timing.median());
            return new Report.Figure(timing, sequences.length + (sequences.length == 1 ? " sequence, " : " sequences, ") + asked.realTokens() + " tokens"
                    + inParts(encoder.choice()), rates);
        }
    }

    private PassPlanner planner(Parameters parameters, PackedBatch batch) {
        return new PassPlanner(model.config(), parameters.table(), new ClassificationHead(BenchModel.CLASSES), PassPlan.inference(dtype), BatchSizes.of(batch),
                backend.name(), DeviceSpeed.assumed(backend.name()));
    }

    /** How a batch was computed that memory does not hold whole. */
    private static String inParts(Choice choice) {
        return (choice.parts() == 1 ? "" : ", in " + choice.parts() + " parts") + (choice.recompute() == Recompute.NONE ? "" : ", recomputing " + choice.recompute());
    }

    private Map<String, Double> rates(Timing timing, int realTokens, double gflop) {
        double gflops = gflop / timing.median();
        Map<String, Double> rates = new LinkedHashMap<>();
        rates.put("real_tokens_per_second", realTokens / timing.median());
        rates.put("model_gflops", gflops);
        rates.put("share_of_gemm", gflops / roofline.gemmGflops());
        rates.put("model_flop_utilisation", settings.peakTflops() == null ? gflops / roofline.gemmGflops() : gflops / (1e3 * settings.peakTflops()));
        return rates;
    }

    /** Random words in sequences of these lengths, padded to {@code length} where that is asked for, with labels of two classes. */
    private PackedBatch batch(int[] sequences, int length) {
        SplittableRandom random = new SplittableRandom(SEED);
        int words = model.config().vocabSize();
        List<Encoded> encoded = new ArrayList<>();
        for (int n : sequences) {
            encoded.add(new Encoded(random.ints(n, Math.min(FIRST_WORD, words / 2), words).toArray(), new byte[n], false));
        }
        int[] labels = random.ints(sequences.length, 0, BenchModel.CLASSES).toArray();
        PackedBatch packed = PackedBatch.of(encoded, labels);
        return settings.padded() ? packed.padded(length, model.config().padTokenId()) : packed;
    }
}
