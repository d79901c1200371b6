package org.warpbert.benchmarks;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** An {@link EngineMain} that waits, without using a core, until it is told to run. */
final class EngineProcess implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final String name;
    private final Process process;
    private final Writer orders;
    private final BufferedReader answers;

    /** Starts the engine and returns when it is ready. */
    EngineProcess(String engine, Job job) throws IOException {
        name = engine;
        // a small heap: what is measured of its memory is the engine's
        ProcessBuilder builder = new ProcessBuilder(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx640m", "-XX:+UseSerialGC", "-Dorg.bytedeco.javacpp.maxphysicalbytes=0", "-Dorg.bytedeco.javacpp.maxbytes=0",
                "-cp", System.getProperty("java.class.path"), EngineMain.class.getName(), engine, JSON.writeValueAsString(job)))
                .redirectError(ProcessBuilder.Redirect.INHERIT);
        Map<String, String> environment = builder.environment();
        // libtorch's best: kernels as detected; idle threads that sleep rather than take the other pool's cores
        environment.remove("OPENBLAS_CORETYPE");
        environment.remove("OPENBLAS_L2_SIZE");
        environment.put("OPENBLAS_THREAD_TIMEOUT", "4");
        environment.put("OMP_WAIT_POLICY", "passive");
        if (engine.equals("warpbert-openblas")) {
            environment.put("WARPBERT_GEMM", "openblas");
        }
        process = builder.start();
        orders = process.outputWriter(StandardCharsets.UTF_8);
        answers = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        if (!"ready".equals(answers.readLine())) {
            throw new IOException(name + " did not start");
        }
    }

    /** Does the job so many times. @return seconds, of one */
    double run(int times) throws IOException {
        orders.write("run " + times + "\n");
        orders.flush();
        String nanos = answers.readLine();
        if (nanos == null) {
            throw new IOException(name + " ended in the middle of its work");
        }
        return Long.parseLong(nanos) * 1e-9 / times;
    }

    /** Ends the engine; says what it was. */
    ObjectNode finish() throws IOException {
        orders.write("end\n");
        orders.flush();
        return (ObjectNode) JSON.readTree(answers.readLine());
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}
