package org.warpbert.bench;

import org.warpbert.backend.Backend;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.memory.MemoryBudget;
import org.warpbert.model.Parameters;
import org.warpbert.model.WeightFormat;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.PackedBatch;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.Schedule;
import org.warpbert.train.Trainer;
import org.warpbert.train.TrainingPlan;

/** Whole fine-tuning steps of one batch: forward, backward, clipping and AdamW. */
final class TrainSession implements Session {
    private static final long SEED = 42;

    private final Parameters parameters;
    private final Trainer trainer;
    private final PackedBatch batch;
    private final Dtype moments;

    TrainSession(Backend backend, BenchModel model, Dtype dtype, MemoryBudget budget, PackedBatch batch) {
        this.batch = batch;
        Hyperparameters hyper = new Hyperparameters(1, batch.sequences(), Math.max(3, batch.maxSeqlen()), 2e-5, 0, 0.01, 1.0, null,
                Schedule.CONSTANT, 0, 0, SEED, false);
        TrainingPlan plan = new TrainingPlan(model.config(), model.table(), new ClassificationHead(BenchModel.CLASSES), dtype, 0, BatchSizes.of(batch), null,
                DeviceSpeed.assumed(backend.name()), backend.name(), budget, backend.freeBytes());
        plan.require();
        moments = plan.moments();
        parameters = model.parameters(backend, new WeightFormat(dtype, true));
        try {
            trainer = new Trainer(backend, model.config(), parameters, new ClassificationHead(BenchModel.CLASSES), hyper, 1, plan, line -> {});
        } catch (RuntimeException | Error e) {
            parameters.close();
            throw e;
        }
    }

    /** One step, which on a device that works on its own is waited for by the next. */
    void submit() {
        trainer.submit(batch);
    }

    void finish() {
        trainer.finish();
    }

    @Override
    public void run(int times) {
        for (int i = 0; i < times; i++) {
            submit();
        }
        finish();
    }

    @Override
    public String inParts() {
        return Session.inParts(trainer.choice()) + (moments == Dtype.F32 ? "" : ", moments in " + moments);
    }

    @Override
    public double[] result() {
        return new double[] {trainer.result().loss()};
    }

    @Override
    public void close() {
        trainer.close();
        parameters.close();
    }
}
