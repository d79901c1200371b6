package org.warpbert.bench;

import org.warpbert.backend.Backend;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.BatchPlanner.Choice;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.memory.Recompute;
import org.warpbert.model.Parameters;
import org.warpbert.model.PassPlan;
import org.warpbert.model.PassPlanner;
import org.warpbert.model.PlannedModel;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.PackedBatch;

/** Classification of one batch, from its ids to logits on the host. */
final class InferSession implements Session {
    private static final int SHOWN = 8;

    private final PackedBatch batch;
    private final ClassificationHead head = new ClassificationHead(BenchModel.CLASSES);
    private final PlannedModel encoder;
    private float[] logits; // of the last run's first part

    /** @param parameters of the caller, who closes them */
    InferSession(Backend backend, BenchModel model, Parameters parameters, Dtype dtype, PackedBatch batch) {
        this.batch = batch;
        PassPlanner planner = new PassPlanner(model.config(), parameters.table(), new ClassificationHead(BenchModel.CLASSES), PassPlan.inference(dtype),
                BatchSizes.of(batch), backend.name(), DeviceSpeed.assumed(backend.name()));
        encoder = new PlannedModel(backend, model.config(), parameters, null, head, planner, line -> {});
    }

    @Override
    public void run(int times) {
        for (int i = 0; i < times; i++) {
            logits = null;
            encoder.infer(batch, false, (pass, part) -> {
                float[] of = head.logits(); // on the host: all is done
                logits = logits == null ? of : logits;
            });
        }
    }

    /** @param choice null where nothing was computed yet */
    static String inParts(Choice choice) {
        return choice == null ? "" : (choice.parts() == 1 ? "" : ", in " + choice.parts() + " parts") + (choice.recompute() == Recompute.NONE ? "" : ", recomputing " + choice.recompute());
    }

    @Override
    public String inParts() {
        return inParts(encoder.choice());
    }

    @Override
    public double[] result() {
        double[] shown = new double[logits == null ? 0 : Math.min(SHOWN, logits.length)];
        for (int i = 0; i < shown.length; i++) {
            shown[i] = logits[i];
        }
        return shown;
    }

    @Override
    public void close() {
        encoder.close();
    }
}
