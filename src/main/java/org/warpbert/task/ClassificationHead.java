package org.warpbert.task;

import java.util.List;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.Arena;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.Linear;
import org.warpbert.model.LossTerm;
import org.warpbert.model.OutputRows;
import org.warpbert.model.ParameterBuffers;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Pass;
import org.warpbert.model.PassPlan;
import org.warpbert.model.Pooler;
import org.warpbert.text.PackedBatch;

/**
 * C numbers for each sequence: pooler, dropout, linear layer (Devlin et al. 2019, section 4.1), and a loss: of one class, of
 * any number of classes, or of a regression, as transformers' BertForSequenceClassification. B sequences, H hidden size.
 */
public final class ClassificationHead implements Head {
    private final int classes;
    private final LogitLoss criterion;
    private Pooler pooler;
    private Arena.Tensor dropped; // [B, H]
    private Arena.Tensor logits; // [B, C]
    private Arena.Tensor loss; // [B, w]
    private List<LossTerm> lossTerms;
    private Arena.Tensor logitsGradient; // [B, C]
    private Arena.Tensor pooledGradient; // [B, H]
    private Linear classifier;
    private int sequences;

    /** Of one class for each sequence, by cross-entropy. */
    public ClassificationHead(int classes) {
        this(classes, new CrossEntropy(null, 0));
    }

    ClassificationHead(int classes, LogitLoss criterion) {
        this.classes = classes;
        this.criterion = criterion;
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
        loss = arena.add("classifier.loss", Dtype.F32, b, criterion.width(classes));
        lossTerms = List.of(new LossTerm(loss, () -> sequences * criterion.width(classes)));
        criterion.plan(arena, classes);
        if (plan.training()) {
            logitsGradient = arena.add("classifier.logits.gradient", plan.dtype(), b, classes);
            pooledGradient = arena.add("classifier.pooled.gradient", plan.dtype(), b, h);
        }
    }

    @Override
    public OutputRows outputRows() {
        return OutputRows.FIRST;
    }

    @Override
    public void bind(ParameterBuffers buffers) {
        pooler.bind(buffers);
        classifier = new Linear(buffers, "classifier");
        criterion.bind();
    }

    @Override
    public void forward(Pass pass) {
        sequences = pass.sequences();
        pooler.forward(pass);
        pass.backend().dropoutForward(pass.dtype(), dropped.address(), pooler.output().address(), pass.headDropout(),
                pass.headSite(), pass.rng(), pass.sequenceDropoutRows(), sequences, pass.config().hiddenSize());
        classifier.forward(pass, logits.address(), logits.address(), dropped.address(), Activation.IDENTITY, sequences);
    }

    @Override
    public void evaluate(Pass pass) {
        criterion.compute(pass, loss.address(), 0, logits.address(), 0, classes);
    }

    @Override
    public double normaliser(PackedBatch batch, int term) {
        return criterion.normaliser(batch.labels());
    }

    @Override
    public void backward(Pass pass, float[] gradientScales) {
        criterion.compute(pass, loss.address(), logitsGradient.address(), logits.address(), gradientScales[0], classes);
        classifier.backward(pass, pooledGradient.address(), logitsGradient.address(), 0, dropped.address(),
                Activation.IDENTITY, sequences);
        pass.backend().dropoutBackward(pass.dtype(), pooledGradient.address(), pooledGradient.address(),
                pass.headDropout(), pass.headSite(), pass.rng(), pass.sequenceDropoutRows(), sequences, pass.config().hiddenSize());
        pooler.backward(pass, pooledGradient.address());
    }

    /** Logits of the batch last forwarded, row-major [B, C]. */
    public float[] logits() {
        return logits.downloadFloats(Math.multiplyExact(sequences, classes));
    }

    /** Losses of the batch last run backward or evaluated, [B], or [B, C] where each logit has its own; 0 where there is no label. */
    public float[] losses() {
        return loss.downloadFloats(sequences * criterion.width(classes));
    }

    @Override
    public List<LossTerm> lossTerms() {
        return lossTerms;
    }
}
