package org.warpbert.benchmarks;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.Dtype;

/** What an op costs before it computes: Java, glue, argument checks and dispatch, on one element. {@code -prof gc}: its garbage. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 1, jvmArgsAppend = {"-Dorg.bytedeco.javacpp.maxphysicalbytes=0", "-Dorg.bytedeco.javacpp.maxbytes=0"})
@State(Scope.Thread)
public class CallBenchmark {
    private Backend backend;
    private DeviceMemory memory;
    private long x;

    @Setup(Level.Trial)
    public void open() {
        backend = Backends.open("cpu", 1);
        memory = backend.allocate("one element of everything", 4096);
        memory.zero();
        x = memory.address();
    }

    @TearDown(Level.Trial)
    public void close() {
        memory.close();
        backend.close();
    }

    @Benchmark
    public void biasActivation() {
        backend.biasActivationForward(Dtype.F32, x, x, x + 256, Activation.IDENTITY, 1, 1);
    }

    /** The op with the most arguments of those that a layer runs. */
    @Benchmark
    public void residualLayernorm() {
        backend.residualLayernormForward(Dtype.F32, x, x + 256, x + 512, x + 768, x + 1024, x + 1280, x + 1536, x + 1792, x + 2048, 1e-12f,
                0, 1, 0, 0, 1, 1);
    }

    @Benchmark
    public void product() {
        backend.gemm().forward(Dtype.F32, x, x + 256, x + 512, 1, 1, 1);
    }
}
