package org.warpbert.benchmarks;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.memory.ProcessMemory;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Parameters;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.Schedule;
import org.warpbert.train.Trainer;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * One fine-tuning step of bert-base in WarpBERT, packed: the counterpart of {@link TorchTrainStep}, with the same batch,
 * dropout, clipping and AdamW, and the same words in its JSON.
 */
@Command(name = "warp-train-step", mixinStandardHelpOptions = true, sortOptions = false,
        description = "Seconds per training step of bert-base in WarpBERT.")
public final class WarpTrainStep implements Callable<Integer> {
    @Option(names = "--lengths", required = true, paramLabel = "FILE|fixed:N",
            description = "Real tokens of each sequence, one a line: the batch. Or --batch-size times N.")
    private String lengths;

    @Option(names = "--batch-size", defaultValue = "32", description = "For fixed:N (default ${DEFAULT-VALUE}).")
    private int batchSize;

    @Option(names = "--threads", defaultValue = "2", description = "Default ${DEFAULT-VALUE}.")
    private int threads;

    @Option(names = "--warmup", defaultValue = "3", description = "Steps before measuring (default ${DEFAULT-VALUE}).")
    private int warmup;

    @Option(names = "--steps", defaultValue = "15", description = "Measured steps (default ${DEFAULT-VALUE}).")
    private int steps;

    @Option(names = "--dropout", defaultValue = "0.1", description = "Default ${DEFAULT-VALUE}.")
    private double dropout;

    @Option(names = "--seed", defaultValue = "42", description = "Default ${DEFAULT-VALUE}.")
    private long seed;

    public static void main(String[] args) {
        System.exit(new CommandLine(new WarpTrainStep()).execute(args));
    }

    @Override
    public Integer call() throws IOException {
        int[] real = BatchLengths.read(lengths, batchSize);
        BertConfig config = BertConfig.ofSizes(30522, 768, 12, 12, 3072, 512, 2);
        SplittableRandom random = new SplittableRandom(seed);
        List<Encoded> sequences = new ArrayList<>();
        for (int n : real) {
            sequences.add(new Encoded(random.ints(n, 1000, config.vocabSize()).toArray(), new byte[n], false));
        }
        PackedBatch batch = PackedBatch.of(sequences, random.ints(real.length, 0, 2).toArray());
        Hyperparameters hyper = new Hyperparameters(1, real.length, 512, 2e-5, 0, 0.01, 1.0, dropout, Schedule.CONSTANT, 0, 0,
                seed, false);
        double[] seconds = new double[steps];
        double[] gemmSeconds = new double[steps];
        double loss = Double.NaN;
        Map<String, Object> report = new LinkedHashMap<>();
        try (Backend backend = Backends.open("cpu", threads);
                Parameters parameters = Parameters.random(backend, ClassificationHead.parameters(config, 2), seed);
                Trainer trainer = new Trainer(backend, config, parameters, new ClassificationHead(2), hyper, steps,
                        Capacity.of(batch))) {
            for (int step = -warmup; step < steps; step++) {
                long gemm = backend.gemm().nanos();
                long start = System.nanoTime();
                loss = trainer.step(batch).loss();
                if (step >= 0) {
                    seconds[step] = (System.nanoTime() - start) * 1e-9;
                    gemmSeconds[step] = (backend.gemm().nanos() - gemm) * 1e-9;
                }
            }
            report.put("engine", "WarpBERT");
            report.put("device", backend.describe());
        }
        double median = Median.of(seconds);
        double weights = config.numHiddenLayers() * (4.0 * 768 * 768 + 2.0 * 768 * 3072);
        double flops = 6 * weights * batch.totalTokens();
        for (int n : real) {
            flops += 12.0 * config.numHiddenLayers() * 768 * n * n; // attention's two products, forward and backward
        }
        report.put("sequences", real.length);
        report.put("real_tokens", batch.totalTokens());
        report.put("dropout", dropout);
        report.put("seconds_per_step", median);
        report.put("seconds_per_step_min", Arrays.stream(seconds).min().orElseThrow());
        report.put("seconds", seconds);
        report.put("gemm_share", Median.of(gemmSeconds) / median);
        report.put("real_tokens_per_second", batch.totalTokens() / median);
        report.put("encoder_gflop_per_step", flops * 1e-9);
        report.put("gflops_over_step", flops * 1e-9 / median);
        report.put("last_loss", loss);
        report.put("peak_rss_bytes", ProcessMemory.peakResidentBytes());
        report.put("threads", threads);
        System.out.println(new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValueAsString(report));
        return 0;
    }
}
