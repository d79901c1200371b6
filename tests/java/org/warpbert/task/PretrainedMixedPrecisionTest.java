package org.warpbert.task;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.model.AutocastComparison;
import org.warpbert.model.AutocastRatios;
import org.warpbert.model.BertConfig;
import org.warpbert.model.BertModel;
import org.warpbert.model.Gradients;
import org.warpbert.model.Parameters;
import org.warpbert.model.TinyBert;
import org.warpbert.model.WeightFormat;
import org.warpbert.reference.TorchBatch;
import org.warpbert.reference.TorchBert;
import org.warpbert.reference.TorchBertConfig;
import org.warpbert.reference.TorchLoss;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.Example;
import org.warpbert.text.Examples;
import org.warpbert.text.PackedBatch;
import org.warpbert.text.TestData;
import org.warpbert.text.TextTable;

/** The real bert-base-uncased in 16 bits on the CUDA kernels under simt, on sentences of CoLA: the gradients of all its parameters. */
@Tag("heavy")
class PretrainedMixedPrecisionTest {
    private static final int SENTENCES = 18;

    /**
     * At most twice the error of libtorch's autocast against float64, with its attention in steps and fused, in the whole and in
     * every parameter; measured: 1.1 to 1.3 times in the whole, at most 1.6 in a parameter (with 6 sentences in place of 18 up to 2.1:
     * on another kind of CPU libtorch rounds otherwise, and the draws are others). Every 37th sentence is a batch of
     * its own: of several at once, the gradient's error would be that of the one which the model is least sure of.
     */
    @ParameterizedTest
    @EnumSource(names = {"F16", "BF16"})
    void gradientsAreAsGoodAsAutocasts(Dtype dtype) {
        List<Example> rows;
        try (TextTable table = TextTable.open(TestData.shared("cola/in_domain_train.tsv"), TextTable.Options.DEFAULT.withoutHeader())) {
            rows = Examples.read(table, "3", null, "1").rows();
        }
        float scale = dtype == Dtype.F16 ? 1024 : 1;
        ClassificationHead head = new ClassificationHead(2);
        AutocastRatios[] ratios = {new AutocastRatios(), new AutocastRatios()}; // beside attention in steps, and fused
        try (Checkpoint checkpoint = Checkpoint.open("bert-base-uncased"); Backend backend = Backends.open("simt", 1);
                Parameters parameters = checkpoint.load(backend, ClassificationHead.parameters(checkpoint.config(), 2), new WeightFormat(dtype, true), 0, new ArrayList<>());
                Gradients gradients = new Gradients(backend, parameters.table())) {
            parameters.set("classifier.weight", GoldenTest.sines(2 * 768));
            parameters.set("classifier.bias", new float[2]);
            BertConfig config = checkpoint.config().withDropout(0);
            try (BertModel model = new BertModel(backend, config, parameters, gradients, head, Capacity.of(64, 1));
                    TorchBert exact = torch(parameters, ScalarType.Double);
                    TorchBert autocast = torch(parameters, ScalarType.Float).autocast(dtype == Dtype.F16 ? ScalarType.Half : ScalarType.BFloat16, scale)) {
                for (int i = 0; i < SENTENCES; i++) {
                    Example row = rows.get(37 * i);
                    List<Encoded> sentence = List.of(checkpoint.tokenizer().encode(row.text(), null, 64));
                    int[] label = {Integer.parseInt(row.label())};
                    TorchBatch batch = TinyBert.batch(sentence);
                    model.forward(PackedBatch.of(sentence, label), 0, 0);
                    model.backward(new float[] {scale}, false);
                    exact.backward(batch, label, TorchLoss.MEAN);
                    for (int fused = 0; fused < 2; fused++) {
                        autocast.fusedAttention(fused == 1).backward(batch, label, TorchLoss.MEAN);
                        ratios[fused].add(new AutocastComparison(dtype, parameters, gradients, scale, exact, autocast));
                    }
                }
            }
        }
        System.out.println(dtype + " beside attention in steps: " + ratios[0] + "\n" + dtype + " beside fused attention: " + ratios[1]);
        ratios[0].assertAll();
        ratios[1].assertAll();
    }

    private static TorchBert torch(Parameters parameters, ScalarType dtype) {
        Map<String, float[]> values = new LinkedHashMap<>();
        parameters.shapes().keySet().forEach(name -> values.put(name, parameters.get(name)));
        return new TorchBert(TorchBertConfig.bertBase(), values, TorchBertConfig.bertBase().shapes(2, false), dtype);
    }
}
