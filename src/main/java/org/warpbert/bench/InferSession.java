package org.warpbert.bench;

import org.warpbert.backend.Backend;
import org.warpbert.model.Parameters;
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
    InferSession(Backend backend, BenchModel model, Parameters parameters, PackedBatch batch) {
        this.batch = batch;
        encoder = PlannedModel.inference(backend, model.config(), parameters, head, BatchSizes.of(batch), line -> {});
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

    @Override
    public String inParts() {
        return Session.inParts(encoder.choice());
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
