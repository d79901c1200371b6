package org.warpbert.benchmarks;

import java.io.IOException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.openblas.global.openblas;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.warpbert.reference.TorchAdamW;
import org.warpbert.reference.TorchBatch;
import org.warpbert.reference.TorchBert;
import org.warpbert.reference.TorchLoss;

/**
 * libtorch, padded: its own ops with fused attention, autograd, clipping and fused AdamW; without gradients for inference. In
 * bfloat16 it trains under autocast, and infers with the whole model in that type.
 *
 * <p>libtorch from Maven Central computes its matrix products with OpenBLAS's own threads and all else with OpenMP's. Its
 * best settings are in the environment ({@link EngineProcess}): idle threads of one must not spin on the other's cores,
 * and no variable may name narrower kernels than the CPU has.
 */
final class TorchEngine implements Engine {
    private static final int SHOWN = 8;

    private final Job job;
    private final TorchBatch batch;
    private final int[] labels;
    private final TorchBert bert;
    private final TorchAdamW adamW; // null for inference
    private double[] result;

    TorchEngine(Job job) {
        this.job = job;
        TorchBert.threads(job.threads());
        openblas.blas_set_num_threads(job.threads());
        torch.manual_seed(job.seed());
        batch = TorchBatch.of(job.tokens()).paddedTo(job.padded());
        labels = job.labels();
        Weights weights = Weights.of(job);
        ScalarType type = job.bf16() && !job.training() ? ScalarType.BFloat16 : ScalarType.Float;
        bert = new TorchBert(job.config(), weights, weights.shapes(), type).fusedAttention(true);
        if (job.training()) {
            if (job.bf16()) {
                bert.autocast(ScalarType.BFloat16, 1);
            }
            bert.dropout(job.dropout());
            adamW = new TorchAdamW(bert, 0.01);
        } else {
            adamW = null;
        }
    }

    @Override
    public void run() {
        if (adamW != null) {
            result = new double[] {bert.backward(batch, labels, TorchLoss.MEAN)};
            adamW.step(2e-5, 1.0);
        } else {
            result = Arrays.copyOf(bert.firstState(batch), SHOWN);
        }
    }

    @Override
    public double[] result() {
        return result;
    }

    @Override
    public Map<String, Object> about() throws IOException {
        Map<String, Object> about = new LinkedHashMap<>();
        about.put("library", "libtorch " + Loader.getVersion("org.bytedeco", "pytorch"));
        about.put("layout", "padded to " + job.padded());
        about.put("attention", "scaled_dot_product_attention");
        about.put("precision", !job.bf16() ? "float32" : job.training() ? "autocast to bfloat16" : "bfloat16");
        about.put("aten_threads", torch.get_num_threads());
        about.put("openblas_threads", openblas.blas_get_num_threads());
        about.put("aten_cpu_capability", torch.get_cpu_capability().getString());
        for (String name : List.of("OPENBLAS_CORETYPE", "OPENBLAS_THREAD_TIMEOUT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")) {
            if (System.getenv(name) != null) {
                about.put(name, System.getenv(name));
            }
        }
        return about;
    }

    @Override
    public void close() {
        if (adamW != null) {
            adamW.close();
        }
        bert.close();
    }
}
