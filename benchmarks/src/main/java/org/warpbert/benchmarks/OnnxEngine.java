package org.warpbert.benchmarks;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.OrtSession.SessionOptions;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import org.warpbert.reference.MiniLmJar;

/**
 * ONNX Runtime for inference, padded, all optimisations on: the graph as its authors published it, or the graph that ONNX
 * Runtime's own transformer optimiser makes of a BERT ({@link OnnxBertGraph}): fused attention, bias, GELU and LayerNorm.
 */
final class OnnxEngine implements Engine {
    private static final int SHOWN = 8;
    private static final long STACK_BYTES = 64L << 20;

    private final Job job;
    private final boolean published;
    private final OrtEnvironment environment;
    private final OrtSession session;
    private final Map<String, OnnxTensor> inputs = new HashMap<>();
    private double[] result;

    OnnxEngine(Job job, boolean published) throws Exception {
        this.job = job;
        this.published = published;
        // Its creation recurses with the length of the JVM's command line, and overflows a small stack without a word.
        environment = deeply(OrtEnvironment::getEnvironment);
        session = deeply(this::open);
        int batch = job.lengths().length;
        long[] shape = {batch, job.padded()};
        long[] ids = new long[batch * job.padded()];
        long[] mask = new long[ids.length];
        int[][] tokens = job.tokens();
        for (int b = 0; b < batch; b++) {
            for (int s = 0; s < tokens[b].length; s++) {
                ids[b * job.padded() + s] = tokens[b][s];
                mask[b * job.padded() + s] = 1;
            }
        }
        inputs.put("input_ids", OnnxTensor.createTensor(environment, LongBuffer.wrap(ids), shape));
        inputs.put("attention_mask", OnnxTensor.createTensor(environment, LongBuffer.wrap(mask), shape));
        inputs.put("token_type_ids", OnnxTensor.createTensor(environment, LongBuffer.wrap(new long[ids.length]), shape));
    }

    private OrtSession open() throws OrtException, IOException {
        try (SessionOptions options = new SessionOptions()) {
            options.setOptimizationLevel(SessionOptions.OptLevel.ALL_OPT);
            options.setIntraOpNumThreads(job.threads());
            options.setInterOpNumThreads(1);
            if (published) {
                return environment.createSession(MiniLmJar.read(MiniLmJar.ONNX), options);
            }
            Path file = Files.createTempFile("warpbert-bench", ".onnx");
            try {
                OnnxBertGraph.write(file, job.config(), Weights.of(job));
                return environment.createSession(file.toString(), options);
            } finally {
                Files.delete(file);
            }
        }
    }

    private static <T> T deeply(Callable<T> work) throws Exception {
        FutureTask<T> task = new FutureTask<>(work);
        Thread thread = new Thread(null, task, "onnx-session", STACK_BYTES);
        thread.start();
        return task.get();
    }

    @Override
    public void run() throws OrtException {
        try (OrtSession.Result outputs = session.run(inputs)) {
            FloatBuffer states = ((OnnxTensor) outputs.get(0)).getFloatBuffer();
            result = new double[SHOWN];
            for (int i = 0; i < SHOWN; i++) {
                result[i] = states.get(i);
            }
        }
    }

    @Override
    public double[] result() {
        return result;
    }

    @Override
    public Map<String, Object> about() {
        Map<String, Object> about = new LinkedHashMap<>();
        about.put("library", "ONNX Runtime " + environment.getVersion());
        about.put("graph", published ? "as published" : "fused (com.microsoft: Attention, BiasGelu, SkipLayerNormalization)");
        about.put("layout", "padded to " + job.padded());
        about.put("intra_op_threads", job.threads());
        return about;
    }

    @Override
    public void close() throws OrtException {
        for (OnnxTensor input : inputs.values()) {
            input.close();
        }
        session.close();
    }
}
