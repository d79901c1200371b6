package org.warpbert.benchmarks;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
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
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.model.BertConfig;
import org.warpbert.model.BertModel;
import org.warpbert.model.Parameters;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.Schedule;
import org.warpbert.train.Trainer;

/** A training step and a forward for inference, of a BERT so small that Java counts. {@code -prof gc}: what they leave for the garbage collector. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 1, jvmArgsAppend = {"-Dorg.bytedeco.javacpp.maxphysicalbytes=0", "-Dorg.bytedeco.javacpp.maxbytes=0"})
@State(Scope.Thread)
public class StepBenchmark {
    private static final BertConfig CONFIG = BertConfig.ofSizes(100, 16, 2, 1, 16, 16, 2);
    private static final int CLASSES = 2;
    private static final int SEQUENCES = 4;
    private static final int LENGTH = 4;

    private Backend backend;
    private Parameters parameters;
    private Trainer trainer;
    private BertModel model;
    private PackedBatch batch;

    @Setup(Level.Trial)
    public void open() {
        SplittableRandom random = new SplittableRandom(42);
        List<Encoded> sequences = new ArrayList<>();
        for (int b = 0; b < SEQUENCES; b++) {
            sequences.add(new Encoded(random.ints(LENGTH, 0, CONFIG.vocabSize()).toArray(), new byte[LENGTH], false));
        }
        batch = PackedBatch.of(sequences, random.ints(SEQUENCES, 0, CLASSES).toArray());
        Hyperparameters hyper = new Hyperparameters(1, SEQUENCES, LENGTH, 1e-4, 0, 0.01, 1, 0.1, Schedule.CONSTANT, 0, 0, 42, false);
        backend = Backends.open("cpu", 1);
        parameters = Parameters.random(backend, ClassificationHead.parameters(CONFIG, CLASSES), 42);
        trainer = new Trainer(backend, CONFIG, parameters, new ClassificationHead(CLASSES), hyper, 1, Capacity.of(batch));
        model = new BertModel(backend, CONFIG, parameters, null, new ClassificationHead(CLASSES), Capacity.of(batch));
    }

    @TearDown(Level.Trial)
    public void close() {
        model.close();
        trainer.close();
        parameters.close();
        backend.close();
    }

    @Benchmark
    public double trainingStep() {
        return trainer.step(batch);
    }

    @Benchmark
    public void forward() {
        model.forward(batch);
    }
}
