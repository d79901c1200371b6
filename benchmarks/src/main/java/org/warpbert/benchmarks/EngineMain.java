package org.warpbert.benchmarks;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.warpbert.backend.Precision;
import org.warpbert.bench.Turns;
import org.warpbert.memory.ProcessMemory;

/**
 * One engine in a process of its own, so that its memory and environment are its own, driven by {@link EngineProcess}
 * over its standard streams, as {@link Turns} says.
 */
public final class EngineMain {
    private static final ObjectMapper JSON = new ObjectMapper();

    private EngineMain() {}

    /** @param args the engine's name, and the {@link Job} as JSON */
    public static void main(String[] args) throws Exception {
        // Libraries print to standard output: only answers go there.
        PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        Job job = JSON.readValue(args[1], Job.class);
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (Engine engine = engine(args[0], job)) {
            Turns.take(orders, answers::println, times -> {
                for (int i = 0; i < times; i++) {
                    engine.run();
                }
            }, () -> {
                Map<String, Object> about = new LinkedHashMap<>(engine.about());
                about.put("result", engine.result());
                about.put("peak_resident_bytes", ProcessMemory.peakResidentBytes());
                return about;
            });
        }
    }

    private static Engine engine(String name, Job job) throws Exception {
        return switch (name) {
            case "warpbert", "warpbert-openblas" -> new WarpEngine(job);
            case "warpbert-f32" -> new WarpEngine(job.in(Precision.F32));
            case "libtorch" -> new TorchEngine(job);
            case "libtorch-f32" -> new TorchEngine(job.in(Precision.F32));
            case "onnxruntime" -> new OnnxEngine(job, true);
            case "onnxruntime-fused" -> new OnnxEngine(job, false);
            default -> throw new IllegalArgumentException("there is no engine " + name);
        };
    }
}
