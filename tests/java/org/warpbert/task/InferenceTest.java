package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Precision;
import org.warpbert.model.BertModel;
import org.warpbert.model.Head;
import org.warpbert.model.ParameterTable;
import org.warpbert.text.Example;
import org.warpbert.text.Instance;
import org.warpbert.text.InstanceSource;
import org.warpbert.text.LabelledTexts;

/** A model that answers call after call in the same buffers. */
class InferenceTest {
    private static final String SHORT = "w1 w2 w3";
    private static final String LONG = "w4 w5 w6 w7 w8 w9 w10 w11 w12";

    @TempDir
    Path folder;

    private OpenModel open(String device) throws IOException {
        Compute compute = Compute.on(device).withThreads(1).withPrecision(Precision.F32);
        return OpenModel.load(TinyModel.write(folder.resolve("model"), 32, 2).toString(), compute, line -> {},
                checkpoint -> ParameterTable.bert(checkpoint.config()).build(), "nothing");
    }

    private static InstanceSource source(OpenModel opened, String... texts) {
        return new LabelledTexts(opened.tokenizer(), Arrays.stream(texts).map(text -> new Example(1, text, null, null)).toList(), null, 16);
    }

    private static float[] states(OpenModel opened, Inference<Head> inference, int batchSize, String... texts) {
        List<float[]> all = new ArrayList<>();
        inference.run(source(opened, texts), batchSize, (pass, batch) -> all.add(pass.lastHiddenState()));
        int count = all.stream().mapToInt(part -> part.length).sum();
        float[] joined = new float[count];
        int at = 0;
        for (float[] part : all) {
            System.arraycopy(part, 0, joined, at, part.length);
            at += part.length;
        }
        return joined;
    }

    @Test
    void buffersStayAndGrowWithTheLargestBatch() throws IOException {
        try (OpenModel opened = open("cpu")) {
            Backend backend = opened.backend();
            long weights = backend.allocatedBytes();
            float[] alone;
            float[] both;
            try (Inference<Head> inference = new Inference<>(opened, Head.NONE)) {
                alone = states(opened, inference, 8, SHORT);
                long small = backend.allocatedBytes();
                assertTrue(small > weights);
                assertArrayEquals(alone, states(opened, inference, 8, SHORT));
                assertEquals(small, backend.allocatedBytes());
                both = states(opened, inference, 8, SHORT, LONG);
                long large = backend.allocatedBytes();
                assertTrue(large > small);
                assertArrayEquals(alone, states(opened, inference, 8, SHORT), "in buffers for more");
                assertArrayEquals(both, states(opened, inference, 1, SHORT, LONG), 1e-5f, "batch by batch");
                assertEquals(large, backend.allocatedBytes());
                inference.release();
                assertEquals(weights, backend.allocatedBytes());
                assertArrayEquals(both, states(opened, inference, 8, SHORT, LONG), "made again");
            }
            assertEquals(weights, backend.allocatedBytes());
        }
    }

    /** Many short texts, then one long one: neither holds the other, and once there is room for both nothing is made anew. */
    @Test
    void callsOfOtherShapesInTurnsKeepTheModel() throws IOException {
        try (OpenModel opened = open("cpu"); Inference<Head> inference = new Inference<>(opened, Head.NONE)) {
            List<BertModel> models = new ArrayList<>();
            for (int turn = 0; turn < 3; turn++) {
                inference.run(source(opened, "w1", "w2", "w3"), 8, (pass, batch) -> models.add(pass));
                inference.run(source(opened, LONG), 8, (pass, batch) -> models.add(pass));
            }
            assertEquals(2, models.stream().distinct().count());
        }
    }

    /** Of a long list only the next texts are tokenised; answers come in order, and all. */
    @Test
    void memoryDoesNotGrowWithTheList() throws IOException {
        int count = 3000;
        try (OpenModel opened = open("cpu"); Inference<Head> inference = new Inference<>(opened, Head.NONE)) {
            int[] encoded = {0};
            int[] computed = {0};
            InstanceSource source = new InstanceSource() {
                @Override
                public int size() {
                    return count;
                }

                @Override
                public List<Instance> encode(int[] rows) {
                    assertTrue(rows[0] - computed[0] <= 1000, "row " + rows[0] + " while " + computed[0] + " are done");
                    encoded[0] += rows.length;
                    return Arrays.stream(rows).mapToObj(row -> Instance.of(opened.tokenizer().encode(SHORT, null, row == count - 1 ? 4 : 16), row)).toList();
                }
            };
            int cut = inference.run(source, 100, (pass, batch) -> {
                for (int label : batch.labels()) {
                    assertEquals(computed[0]++, label);
                }
            });
            assertEquals(1, cut);
            assertEquals(count, computed[0]);
            assertEquals(count, encoded[0]);
        }
    }

    /** The third call of a shape is one graph, for the model is still that of the second. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void graphsOutliveACall(int batchSize) throws IOException {
        try (OpenModel opened = open("simt"); Inference<Head> inference = new Inference<>(opened, Head.NONE)) {
            List<BertModel> models = new ArrayList<>();
            for (int call = 0; call < 3; call++) {
                inference.run(source(opened, LONG), batchSize, (pass, batch) -> models.add(pass));
                assertEquals(call == 0 ? 0 : 1, models.get(call).graphs());
            }
            assertEquals(1, models.stream().distinct().count());
        }
    }
}
