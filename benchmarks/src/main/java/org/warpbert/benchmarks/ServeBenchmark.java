package org.warpbert.benchmarks;

import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Threads;
import org.openjdk.jmh.annotations.Warmup;
import org.warpbert.task.Compute;
import org.warpbert.task.Embedder;

/** A server's threads, each with one short text at a time, at one bert-base on the CPU. In batches of 1 nobody's text is computed with another's. */
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(value = 3)
@Threads(4)
@State(Scope.Benchmark)
public class ServeBenchmark {
    private static final List<String> TEXT = List.of("the quick brown fox jumps over the lazy dog"); // 11 tokens

    @Param({"1", "32"})
    private int batchSize;

    private Embedder embedder;

    @Setup(Level.Trial)
    public void open() {
        embedder = Embedder.load("bert-base-uncased", Embedder.Pooling.CLS, Compute.on("cpu"));
    }

    @TearDown(Level.Trial)
    public void close() {
        embedder.close();
    }

    @Benchmark
    public float[][] vector() {
        return embedder.embed(TEXT, null, true, 128, batchSize);
    }
}
