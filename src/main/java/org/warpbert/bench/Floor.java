package org.warpbert.bench;

import java.util.ArrayList;
import java.util.List;
import org.warpbert.backend.Dtype;
import org.warpbert.model.BertConfig;
import org.warpbert.text.PackedBatch;

/**
 * The least that an op has to do at one shape: what no implementation of it goes below.
 *
 * @param name    as {@code bench ops} calls it
 * @param shape   for the reader
 * @param perStep how often a training step runs it
 * @param bytes   read and written, each once
 * @param flop    of products; 0 where time is a matter of bytes
 */
public record Floor(String name, String shape, int perStep, long bytes, double flop) {

    /** Of every op that {@code bench ops} times, on no device: for a model and a packed batch of these lengths. */
    public static List<Floor> of(String model, String lengths, int batchSize, Dtype dtype) {
        BenchModel of = BenchModel.of(model);
        BertConfig config = of.config();
        PackedBatch batch = RandomBatch.of(config, Lengths.parse(lengths).batch(batchSize, Benchmark.SEED)).packed();
        List<Op> ops = new ArrayList<>();
        try (Tensors none = new Tensors(null)) {
            ops.addAll(new LayerOps(null, dtype, config, batch, none).all());
            ops.addAll(OptimizerOps.of(null, dtype, config, of.table(), batch, none));
        }
        return ops.stream().map(op -> new Floor(op.name(), op.shape(), op.perStep(), op.bytes(), op.flop())).toList();
    }

    /** Seconds on a device of these rates: whichever of its two limits is the later. */
    public double seconds(double bytesPerSecond, double flopPerSecond) {
        return Math.max(bytes / bytesPerSecond, flop / flopPerSecond);
    }
}
