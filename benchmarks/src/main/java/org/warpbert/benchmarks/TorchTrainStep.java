package org.warpbert.benchmarks;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.openblas.global.openblas;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.warpbert.memory.ProcessMemory;
import org.warpbert.reference.TorchAdamW;
import org.warpbert.reference.TorchBatch;
import org.warpbert.reference.TorchBert;
import org.warpbert.reference.TorchBertConfig;
import org.warpbert.reference.TorchLoss;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * The peer for training on the CPU: one fine-tuning step of bert-base in libtorch, as PyTorch runs it, padded:
 * forward, autograd, clip 1.0, fused AdamW. Prints one JSON object. Weights are N(0, 0.02): the time of a step
 * does not depend on them.
 *
 * <p>libtorch from Maven Central computes its matrix products with OpenBLAS's own threads and all else with
 * OpenMP's. Run it with {@code OPENBLAS_THREAD_TIMEOUT=4 OMP_WAIT_POLICY=passive}, or the idle threads of one spin
 * on the cores that the other needs, and without {@code OPENBLAS_CORETYPE}, which overrides the detected kernels.
 */
@Command(name = "torch-train-step", mixinStandardHelpOptions = true, sortOptions = false,
        description = "Seconds per training step of bert-base in libtorch on the CPU.")
public final class TorchTrainStep implements Callable<Integer> {
    @Option(names = "--lengths", required = true, paramLabel = "FILE|fixed:N",
            description = "Real tokens of each sequence, one a line: the batch. Or --batch-size times N.")
    private String lengths;

    @Option(names = "--batch-size", defaultValue = "32", description = "For fixed:N (default ${DEFAULT-VALUE}).")
    private int batchSize;

    @Option(names = "--pad", defaultValue = "64", paramLabel = "N|longest",
            description = "Padded length (default ${DEFAULT-VALUE}).")
    private String pad;

    @Option(names = "--threads", defaultValue = "2", description = "Of ATen and of OpenBLAS (default ${DEFAULT-VALUE}).")
    private int threads;

    @Option(names = "--warmup", defaultValue = "2", description = "Steps before measuring (default ${DEFAULT-VALUE}).")
    private int warmup;

    @Option(names = "--steps", defaultValue = "5", description = "Measured steps (default ${DEFAULT-VALUE}).")
    private int steps;

    @Option(names = "--dropout", defaultValue = "0.1", description = "Default ${DEFAULT-VALUE}.")
    private double dropout;

    @Option(names = "--attention", defaultValue = "fused", paramLabel = "fused|explicit",
            description = "scaled_dot_product_attention, or matmul and softmax (default ${DEFAULT-VALUE}).")
    private String attention;

    @Option(names = "--layers", defaultValue = "12", description = "Default ${DEFAULT-VALUE}.")
    private int layers;

    @Option(names = "--seed", defaultValue = "42", description = "Default ${DEFAULT-VALUE}.")
    private long seed;

    public static void main(String[] args) {
        // Read when JavaCPP loads: without them it calls System.gc() in a loop above the limit.
        System.setProperty("org.bytedeco.javacpp.maxphysicalbytes", "0");
        System.setProperty("org.bytedeco.javacpp.maxbytes", "0");
        System.exit(new CommandLine(new TorchTrainStep()).execute(args));
    }

    @Override
    public Integer call() throws IOException {
        int[] real = BatchLengths.read(lengths, batchSize);
        int longest = Arrays.stream(real).max().orElseThrow();
        int padded = pad.equals("longest") ? longest : Math.max(longest, Integer.parseInt(pad));
        TorchBert.threads(threads);
        openblas.blas_set_num_threads(threads);
        torch.manual_seed(seed);

        TorchBertConfig base = TorchBertConfig.bertBase();
        TorchBertConfig config = new TorchBertConfig(base.vocabSize(), base.hiddenSize(), layers, base.heads(),
                base.intermediateSize(), base.maxPositions(), base.typeVocabSize(), base.layerNormEps(), base.activation());
        Map<String, long[]> shapes = config.shapes(2, false);
        SplittableRandom random = new SplittableRandom(seed);
        int[][] tokens = Arrays.stream(real)
                .mapToObj(n -> random.ints(n, 1000, config.vocabSize()).toArray()).toArray(int[][]::new);
        TorchBatch batch = TorchBatch.of(tokens).paddedTo(padded);
        int[] labels = random.ints(real.length, 0, 2).toArray();
        OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        double gemm = gemmRate(real.length * padded, config);

        double[] seconds = new double[steps];
        double[] forwardBackward = new double[steps];
        double[] cpuSeconds = new double[steps];
        double loss = Double.NaN;
        try (TorchBert bert = new TorchBert(config, TorchBertConfig.random(shapes, 0.02, seed), shapes, ScalarType.Float);
                TorchAdamW adamW = new TorchAdamW(bert, 0.01)) {
            bert.dropout(dropout).fusedAttention(attention.equals("fused"));
            for (int step = -warmup; step < steps; step++) {
                long cpuStart = system.getProcessCpuTime();
                long start = System.nanoTime();
                loss = bert.backward(batch, labels, TorchLoss.MEAN);
                long backward = System.nanoTime();
                adamW.step(2e-5, 1.0);
                long end = System.nanoTime();
                if (step >= 0) {
                    seconds[step] = (end - start) * 1e-9;
                    forwardBackward[step] = (backward - start) * 1e-9;
                    cpuSeconds[step] = (system.getProcessCpuTime() - cpuStart) * 1e-9;
                }
            }
        }
        double median = Median.of(seconds);
        int tokensInBatch = batch.realTokens();
        // Matrix products of the encoder: 2 flops forward and 4 backward per weight and row, and the attention's.
        double weights = (double) layers * (4.0 * 768 * 768 + 2.0 * 768 * 3072);
        double flops = real.length * (double) padded * (6 * weights + layers * 12.0 * padded * 768);

        Map<String, Object> report = new LinkedHashMap<>();
        report.put("peer", "libtorch " + Loader.getVersion("org.bytedeco", "pytorch"));
        report.put("sequences", real.length);
        report.put("real_tokens", tokensInBatch);
        report.put("padded_length", padded);
        report.put("layers", layers);
        report.put("dropout", dropout);
        report.put("attention", attention);
        report.put("seconds_per_step", median);
        report.put("seconds_per_step_min", Arrays.stream(seconds).min().orElseThrow());
        report.put("seconds_forward_backward", Median.of(forwardBackward));
        report.put("seconds", seconds);
        // Far below threads times wall seconds: somebody else had the cores, measure again.
        report.put("cpu_seconds_per_step", Median.of(cpuSeconds));
        report.put("system_load_average", system.getSystemLoadAverage());
        report.put("real_tokens_per_second", tokensInBatch / median);
        report.put("encoder_gflop_per_step", flops * 1e-9);
        report.put("gflops_over_step", flops * 1e-9 / median);
        report.put("gemm_gflops", gemm);
        report.put("last_loss", loss);
        report.put("peak_rss_bytes", ProcessMemory.peakResidentBytes());
        report.put("threads", Map.of("aten", torch.get_num_threads(), "openblas", openblas.blas_get_num_threads()));
        report.put("environment", environment());
        System.out.println(new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValueAsString(report));
        return 0;
    }

    /** GFLOP/s of ATen's matmul at the step's largest product, x[rows, H] w[H, I]; the median of ten. */
    @SuppressWarnings("try") // a PointerScope works by being open
    private static double gemmRate(int rows, TorchBertConfig config) {
        double[] rates = new double[10];
        try (PointerScope scope = new PointerScope(); NoGradGuard guard = new NoGradGuard()) {
            Tensor x = torch.randn(rows, config.hiddenSize());
            Tensor w = torch.randn(config.hiddenSize(), config.intermediateSize());
            Tensor y = torch.matmul(x, w);
            for (int i = 0; i < rates.length; i++) {
                long start = System.nanoTime();
                torch.matmul_out(y, x, w);
                rates[i] = 2.0 * rows * config.hiddenSize() * config.intermediateSize() / (System.nanoTime() - start);
            }
        }
        return Median.of(rates);
    }

    private static Map<String, String> environment() {
        Map<String, String> environment = new LinkedHashMap<>();
        environment.put("platform", Loader.getPlatform());
        environment.put("aten_cpu_capability", torch.get_cpu_capability().getString());
        for (String name : List.of("OPENBLAS_CORETYPE", "OPENBLAS_THREAD_TIMEOUT", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT",
                "OMP_NUM_THREADS", "MALLOC_TOP_PAD_", "LD_PRELOAD")) {
            if (System.getenv(name) != null) {
                environment.put(name, System.getenv(name));
            }
        }
        return environment;
    }
}
