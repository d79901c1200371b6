package org.warpbert.benchmarks;

import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.openblas.global.openblas;
import org.openjdk.jmh.annotations.AuxCounters;
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
import org.openjdk.jmh.annotations.Warmup;

/**
 * {@code cblas_sgemm} of the OpenBLAS that both we and libtorch call, at a bert-base layer's shapes:
 * y[rows, out] = x[rows, in] w[out, in]^T. {@code OPENBLAS_CORETYPE} in the environment picks its kernels.
 */
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(value = 1, jvmArgsAppend = {"-Dorg.bytedeco.javacpp.maxphysicalbytes=0", "-Dorg.bytedeco.javacpp.maxbytes=0"})
@State(Scope.Thread)
public class GemmBenchmark {
    /** Rows: real tokens of a CoLA batch of 32, and the same batch padded to 64. */
    @Param({"362", "2048"})
    public int rows;

    /** in x out. */
    @Param({"768x768", "768x3072", "3072x768"})
    public String shape;

    @Param("2")
    public int threads;

    private int in;
    private int out;
    private FloatPointer x;
    private FloatPointer w;
    private FloatPointer y;

    /** Reported per second beside the throughput. */
    @AuxCounters(AuxCounters.Type.OPERATIONS)
    @State(Scope.Thread)
    public static class Rate {
        public double gflop;
    }

    @Setup(Level.Trial)
    public void allocate() {
        String[] sizes = shape.split("x");
        in = Integer.parseInt(sizes[0]);
        out = Integer.parseInt(sizes[1]);
        openblas.blas_set_num_threads(threads);
        x = filled((long) rows * in);
        w = filled((long) out * in);
        y = filled((long) rows * out);
    }

    @TearDown(Level.Trial)
    public void free() {
        x.close();
        w.close();
        y.close();
    }

    @Benchmark
    public FloatPointer linear(Rate rate) {
        openblas.cblas_sgemm(openblas.CblasRowMajor, openblas.CblasNoTrans, openblas.CblasTrans,
                rows, out, in, 1f, x, in, w, in, 0f, y, out);
        rate.gflop += 2e-9 * rows * in * out;
        return y;
    }

    private static FloatPointer filled(long size) {
        FloatPointer data = new FloatPointer(size);
        for (long i = 0; i < size; i++) {
            data.put(i, (i % 17 - 8) / 16f);
        }
        return data;
    }
}
