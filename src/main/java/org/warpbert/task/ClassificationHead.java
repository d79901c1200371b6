package org.warpbert.task;

import org.warpbert.backend.Activation;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.Arena;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.Linear;
import org.warpbert.model.ParameterBuffers;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Pass;
import org.warpbert.model.PassPlan;
import org.warpbert.model.Pooler;
import org.warpbert.text.PackedBatch;

/**
 * One class for each sequence: pooler, dropout, linear layer, softmax cross-entropy (Devlin et al. 2019, section 4.1).
 * B sequences, H hidden size, C classes.
 */
public final class ClassificationHead implements Head {
    private final int classes;
    private Pooler pooler;
    private Arena.Tensor dropped; // [B, H]
    private Arena.Tensor logits; // [B, C]
    private Arena.Tensor loss; // [B]
    private Arena.Tensor logitsGradient; // [B, C]
    private Arena.Tensor pooledGradient; // [B, H]
    private Arena.Tensor scratch; // [B, H]
    private Linear classifier;
    private int sequences;

    public ClassificationHead(int classes) {
        this.classes = classes;
    }

    /** The parameters of a BERT with this head. */
    public static ParameterTable parameters(BertConfig config, int classes) {
        return ParameterTable.bert(config).pooler().classifier(classes).build();
    }

    public int classes() {
        return classes;
    }

    @Override
    public void plan(Arena arena, BertConfig config, PassPlan plan) {
        int b = plan.capacity().sequences();
        int h = config.hiddenSize();
        pooler = new Pooler(arena, config, plan);
        dropped = arena.add("classifier.dropped", plan.dtype(), b, h);
        logits = arena.add("classifier.logits", plan.dtype(), b, classes);
        loss = arena.add("classifier.loss", Dtype.F32, b);
        if (plan.training()) {
            logitsGradient = arena.add("classifier.logits.gradient", plan.dtype(), b, classes);
            pooledGradient = arena.add("classifier.pooled.gradient", plan.dtype(), b, h);
            scratch = arena.add("classifier.scratch", plan.dtype(), b, h);
        }
    }

    @Override
    public void bind(ParameterBuffers buffers) {
        pooler.bind(buffers);
        classifier = new Linear(buffers, "classifier");
    }

    @Override
    public void forward(Pass pass) {
        sequences = pass.sequences();
        pooler.forward(pass);
        pass.backend().dropoutForward(pass.dtype(), dropped.address(), pooler.output().address(), pass.headDropout(),
                pass.headSite(), pass.sequenceDropout(), sequences, pass.config().hiddenSize());
        classifier.forward(pass, logits.address(), logits.address(), dropped.address(), Activation.IDENTITY, sequences);
    }

    @Override
    public void evaluate(Pass pass) {
        pass.backend().crossEntropy(pass.dtype(), loss.address(), 0, logits.address(), pass.labels(), 0, 0,
                PackedBatch.IGNORE, 0, sequences, classes);
    }

    @Override
    public double[] normalisers(PackedBatch batch) {
        int labelled = 0;
        for (int label : batch.labels()) { // no stream: once a step, and its objects would be most of the step's garbage
            labelled += label == PackedBatch.IGNORE ? 0 : 1;
        }
        return new double[] {labelled};
    }

    @Override
    public void backward(Pass pass, float[] gradientScales) {
        pass.backend().crossEntropy(pass.dtype(), loss.address(), logitsGradient.address(), logits.address(),
                pass.labels(), 0, 0, PackedBatch.IGNORE, gradientScales[0], sequences, classes);
        classifier.backward(pass, pooledGradient.address(), logitsGradient.address(), 0, dropped.address(),
                Activation.IDENTITY, sequences);
        pass.backend().dropoutBackward(pass.dtype(), pooledGradient.address(), pooledGradient.address(),
                pass.headDropout(), pass.headSite(), pass.sequenceDropout(), sequences, pass.config().hiddenSize());
        pooler.backward(pass, pooledGradient.address(), scratch.address());
    }

    /** Logits of the batch last forwarded, row-major [B, C]. */
    public float[] logits() {
        return logits.downloadFloats(Math.multiplyExact(sequences, classes));
    }

    /** Cross-entropy of each sequence of the batch last run backward or evaluated, [B]; 0 where there is no label. */
    public float[] losses() {
        return loss.downloadFloats(sequences);
    }

    @Override
    public double[] lossSums() {
        double sum = 0;
        for (float value : losses()) {
            sum += value;
        }
        return new double[] {sum};
    }
}
