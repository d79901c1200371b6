package org.warpbert.benchmarks;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.model.BertConfig;
import org.warpbert.model.BertModel;
import org.warpbert.model.Head;
import org.warpbert.model.ParameterTable;
import org.warpbert.model.Parameters;
import org.warpbert.model.WeightFormat;
import org.warpbert.reference.TorchBertConfig;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.Schedule;
import org.warpbert.train.Trainer;

/** WarpBERT, packed. */
final class WarpEngine implements Engine {
    private static final int SHOWN = 8;

    private final Backend backend;
    private final Parameters parameters;
    private final PackedBatch batch;
    private final Trainer trainer;  // or
    private final BertModel model;  // for inference
    private double loss;

    WarpEngine(Job job) {
        backend = Backends.open("cpu", job.threads(), job.precision());
        TorchBertConfig sizes = job.config();
        BertConfig config = BertConfig.ofSizes(sizes.vocabSize(), sizes.hiddenSize(), sizes.layers(), sizes.heads(), sizes.intermediateSize(),
                sizes.maxPositions(), sizes.typeVocabSize());
        ParameterTable.Builder table = ParameterTable.bert(config).pooler();
        parameters = Parameters.random(backend, job.training() ? table.classifier(2).build() : table.build(),
                new WeightFormat(Dtype.F32, job.training()), job.seed());
        Weights.of(job).forEach(parameters::set);
        List<Encoded> sequences = new ArrayList<>();
        for (int[] tokens : job.tokens()) {
            sequences.add(new Encoded(tokens, new byte[tokens.length], false));
        }
        batch = PackedBatch.of(sequences, job.labels());
        if (job.training()) {
            Hyperparameters hyper = new Hyperparameters(1, batch.sequences(), 512, 2e-5, 0, 0.01, 1.0, job.dropout(), Schedule.CONSTANT, 0, 0, job.seed(), false);
            trainer = new Trainer(backend, config, parameters, new ClassificationHead(2), hyper, 1, Capacity.of(batch));
            model = null;
        } else {
            trainer = null;
            model = new BertModel(backend, config, parameters, null, Head.NONE, Capacity.of(batch));
        }
    }

    @Override
    public void run() {
        if (trainer != null) {
            loss = trainer.step(batch);
        } else {
            model.forward(batch);
            backend.synchronize();
        }
    }

    @Override
    public double[] result() {
        if (trainer != null) {
            return new double[] {loss};
        }
        float[] states = model.lastHiddenState();
        double[] shown = new double[SHOWN];
        for (int i = 0; i < SHOWN; i++) {
            shown[i] = states[i];
        }
        return shown;
    }

    @Override
    public Map<String, Object> about() {
        Map<String, Object> about = new LinkedHashMap<>();
        about.put("library", "WarpBERT");
        about.put("description", backend.describe());
        about.put("layout", "packed");
        return about;
    }

    @Override
    public void close() {
        if (trainer != null) {
            trainer.close();
        } else {
            model.close();
        }
        parameters.close();
        backend.close();
    }
}
