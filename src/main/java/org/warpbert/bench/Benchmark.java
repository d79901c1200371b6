package org.warpbert.bench;

import java.io.BufferedReader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.format.AtomicFile;
import org.warpbert.memory.MemoryBudget;
import org.warpbert.memory.ProcessMemory;
import org.warpbert.model.Parameters;
import org.warpbert.model.WeightFormat;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;
import org.warpbert.train.RunFolder;

/** Runs a measurement on a device of its own. */
public final class Benchmark {
    static final long SEED = 42; // of the order of lengths
    private static final int TURNS_WARMUP = 3; // as the peers', before they say that they are ready

    private final Report.Settings settings;
    private final BenchModel model;
    private final Backend backend;
    private final MemoryBudget budget;
    private final Dtype dtype;
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
        dtype = backend.dtype();
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
        try (Backend backend = Backends.open(settings.device(), settings.threads(), settings.precision())) {
            Stopwatch stopwatch = new Stopwatch(backend);
            Benchmark benchmark = new Benchmark(settings, model, backend, MemoryBudget.limit(backend, memory));
            Roofline roofline = Roofline.measure(backend, stopwatch, benchmark.dtype);
            List<Report.Figure> figures = switch (settings.what()) {
                case OPS -> benchmark.ops(stopwatch, roofline);
                case TRAIN -> benchmark.train(roofline);
                case INFER -> benchmark.infer(roofline);
            };
            return new Report(settings, Machine.of(backend), stopwatch.clock(), roofline.gemmGflops(), roofline.copyGbPerSecond(),
                    benchmark.work, Work.FORMULA, figures, ProcessMemory.peakResidentBytes());
        }
    }

    /**
     * Takes part in a contest ({@link Turns}): training steps of the batch, or its inference.
     *
     * @param memory    see {@link #run(Report.Settings, long)}
     * @param batchFile where the batch goes before the engine is ready, so that the others can do the same: JSON of its
     *                  {@code sequences} (ids, without padding), {@code labels} and {@code padded_length}
     */
    public static void takeTurns(Report.Settings settings, long memory, Path batchFile, BufferedReader orders, Consumer<String> answers) throws Exception {
        BenchModel model = BenchModel.of(settings.model());
        try (Backend backend = Backends.open(settings.device(), settings.threads(), settings.precision())) {
            Benchmark benchmark = new Benchmark(settings, model, backend, MemoryBudget.limit(backend, memory));
            RandomBatch words = RandomBatch.of(model.config(), benchmark.lengths);
            AtomicFile.write(batchFile, RunFolder.JSON.writeValueAsBytes(Map.of("sequences", words.sequences().stream().map(Encoded::tokens).toList(),
                    "labels", words.labels(), "padded_length", benchmark.paddedLength)));
            PackedBatch batch = benchmark.batch(words, benchmark.paddedLength);
            if (settings.what() == Report.Kind.TRAIN) {
                try (Session session = new TrainSession(backend, model, benchmark.dtype, benchmark.budget, batch)) {
                    benchmark.takeTurns(session, orders, answers);
                }
            } else {
                try (Parameters parameters = benchmark.parameters(); Session session = new InferSession(backend, model, parameters, batch)) {
                    benchmark.takeTurns(session, orders, answers);
                }
            }
        }
    }

    private void takeTurns(Session session, BufferedReader orders, Consumer<String> answers) throws Exception {
        session.run(TURNS_WARMUP);
        Turns.take(orders, answers, session::run, () -> about(session));
    }

    private Map<String, Object> about(Session session) {
        Map<String, Object> about = new LinkedHashMap<>();
        about.put("library", "WarpBERT");
        about.put("machine", Machine.of(backend));
        about.put("layout", settings.layout() + session.inParts());
        about.put("precision", backend.precision().toString());
        about.put("work", work);
        about.put("flop_formula", Work.FORMULA);
        about.put("result", session.result());
        about.put("peak_device_bytes", backend.peakBytes());
        about.put("peak_resident_bytes", ProcessMemory.peakResidentBytes());
        return about;
    }

    /** Every op on its own, at this model's and batch's shapes. */
    private List<Report.Figure> ops(Stopwatch stopwatch, Roofline roofline) {
        List<Report.Figure> figures = new ArrayList<>();
        try (Tensors tensors = new Tensors(backend)) {
            LayerOps layer = new LayerOps(backend, dtype, model.config(), batch(), tensors);
            layer.all().forEach(op -> figures.add(op.measure(stopwatch, roofline, settings.warmup(), settings.repeats())));
        }
        try (Tensors tensors = new Tensors(backend)) {
            OptimizerOps.of(backend, dtype, model.config(), model.table(), batch(), tensors)
                    .forEach(op -> figures.add(op.measure(stopwatch, roofline, settings.warmup(), settings.repeats())));
        }
        return figures;
    }

    private List<Report.Figure> train(Roofline roofline) {
        try (TrainSession session = new TrainSession(backend, model, dtype, budget, batch())) {
            Timing timing;
            double products;
            try (Roofline.Beside beside = roofline.new Beside()) {
                long before = backend.gemm().nanos();
                long start = System.nanoTime();
                timing = Timing.measure("training step", settings.warmup(), settings.repeats(), session::submit, // waits for the step before
                        backend.asynchronous() ? () -> {} : beside::run);
                session.finish();
                products = (backend.gemm().nanos() - before - beside.nanos()) / (double) (System.nanoTime() - start - beside.nanos());
            }
            Map<String, Double> rates = rates(roofline, timing, work.realTokens(), work.trainGflop());
            rates.put("products_share_of_time", products);
            return List.of(new Report.Figure(timing, "forward, backward, clip, AdamW" + session.inParts(), rates));
        }
    }

    /** One sequence of the batch's mean length, for latency; then the batch. */
    private List<Report.Figure> infer(Roofline roofline) {
        int mean = Math.max(1, Math.round((float) work.realTokens() / lengths.length));
        try (Parameters parameters = parameters()) {
            Work one = Work.of(settings.model(), model.config(), work.parameters(), Lengths.parse("fixed:" + mean), false, new int[] {mean});
            return List.of(infer("latency", roofline, parameters, batch(RandomBatch.of(model.config(), new int[] {mean}), mean), one),
                    infer("batch", roofline, parameters, batch(), work));
        }
    }

    private Parameters parameters() {
        return model.parameters(backend, new WeightFormat(dtype, false));
    }

    private Report.Figure infer(String name, Roofline roofline, Parameters parameters, PackedBatch batch, Work asked) {
        try (InferSession session = new InferSession(backend, model, parameters, batch)) {
            Timing timing = Timing.measure(name, settings.warmup(), settings.repeats(), () -> session.run(1));
            Map<String, Double> rates = rates(roofline, timing, asked.realTokens(), asked.inferGflop());
            rates.put("sequences_per_second", asked.sequences() / timing.median());
            return new Report.Figure(timing, asked.sequences() + (asked.sequences() == 1 ? " sequence, " : " sequences, ") + asked.realTokens() + " tokens"
                    + session.inParts(), rates);
        }
    }

    private Map<String, Double> rates(Roofline roofline, Timing timing, int realTokens, double gflop) {
        double gflops = gflop / timing.median();
        Map<String, Double> rates = new LinkedHashMap<>();
        rates.put("real_tokens_per_second", realTokens / timing.median());
        rates.put("model_gflops", gflops);
        rates.put("share_of_gemm", gflops / roofline.gemmGflops());
        rates.put("model_flop_utilisation", settings.peakTflops() == null ? gflops / roofline.gemmGflops() : gflops / (1e3 * settings.peakTflops()));
        return rates;
    }

    /** Padded to {@code length} where that is asked for. */
    private PackedBatch batch(RandomBatch words, int length) {
        PackedBatch packed = words.packed();
        return settings.padded() ? packed.padded(length, model.config().padTokenId()) : packed;
    }

    private PackedBatch batch() {
        return batch(RandomBatch.of(model.config(), lengths), paddedLength);
    }
}
