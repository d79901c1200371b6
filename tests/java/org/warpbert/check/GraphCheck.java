package org.warpbert.check;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Precision;
import org.warpbert.bench.Timing;
import org.warpbert.model.BertConfig;
import org.warpbert.model.BertModel;
import org.warpbert.model.Parameters;
import org.warpbert.model.WeightFormat;
import org.warpbert.task.ClassificationHead;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;

/** One sequence's forward as a graph beside the same ops one by one: the same bits, and what each costs host and device. */
final class GraphCheck {
    private static final String GRAPHS = "warpbert.graphs";
    private static final int CLASSES = 2;
    private static final int INPUTS = 6; // the first runs op by op, the second is captured
    private static final int WARMUP = 5;

    private final Backend backend;
    private final BertConfig config;
    private final Parameters parameters;
    private final int repeats;

    private GraphCheck(Backend backend, BertConfig config, Parameters parameters, int repeats) {
        this.backend = backend;
        this.config = config;
        this.parameters = parameters;
        this.repeats = repeats;
    }

    /** bert-base's sizes on a GPU, two layers of 64 under simt. */
    static Found check(String device, Precision precision) {
        boolean gpu = device.equals("cuda");
        BertConfig config = CheckBatches.config(device);
        try (Backend backend = Backends.open(device, 0, precision);
                Parameters parameters = Parameters.random(backend, ClassificationHead.parameters(config, CLASSES),
                        new WeightFormat(backend.dtype(), false), 7)) {
            GraphCheck check = new GraphCheck(backend, config, parameters, gpu ? 101 : 3);
            List<String> wrong = new ArrayList<>();
            List<String> told = new ArrayList<>();
            Map<String, Object> figures = new LinkedHashMap<>();
            for (int length : gpu ? new int[] {16, 128} : new int[] {12}) {
                Way eager = check.way(false, length);
                Way graph = check.way(true, length);
                if (graph.graphs != 1 || eager.graphs != 0) {
                    wrong.add(length + " tokens: " + graph.graphs + " graphs were captured, and " + eager.graphs + " without");
                }
                if (!Arrays.deepEquals(eager.results, graph.results)) {
                    wrong.add(length + " tokens: a replay has other bits than the eager pass");
                }
                told.add(String.format(Locale.ROOT, "%d tokens: %.3f ms, %.3f ms as a graph (of the host %.3f, %.3f)", length,
                        1e3 * eager.latency.median(), 1e3 * graph.latency.median(), 1e3 * eager.host.median(), 1e3 * graph.host.median()));
                figures.put("tokens_" + length, Map.of("eager", eager.latency, "graph", graph.latency, "eager_host", eager.host, "graph_host", graph.host));
            }
            return wrong.isEmpty() ? Found.passed(String.join("; ", told), figures) : Found.failed(String.join("; ", wrong), figures);
        }
    }

    /**
     * @param results hidden states and logits, input by input
     * @param latency until the logits are on the host
     * @param host    until all is asked for
     * @param graphs  that the model holds in the end
     */
    private record Way(float[][] results, Timing latency, Timing host, int graphs) {}

    private Way way(boolean asGraph, int length) {
        System.setProperty(GRAPHS, Boolean.toString(asGraph));
        ClassificationHead head = new ClassificationHead(CLASSES);
        try (BertModel model = new BertModel(backend, config, parameters, null, head, Capacity.of(length, 1))) {
            float[][] results = new float[2 * INPUTS][];
            for (int i = 0; i < INPUTS; i++) {
                model.forward(input(i, length));
                results[2 * i] = model.lastHiddenState();
                results[2 * i + 1] = head.logits();
            }
            PackedBatch batch = input(0, length);
            Timing latency = Timing.measure("latency", WARMUP, repeats, () -> {
                model.forward(batch);
                head.logits();
            });
            double[] host = new double[repeats];
            for (int i = 0; i < repeats; i++) {
                backend.synchronize();
                long start = System.nanoTime();
                model.forward(batch);
                host[i] = (System.nanoTime() - start) * 1e-9;
            }
            return new Way(results, latency, Timing.of("host", WARMUP, host), model.graphs());
        } finally {
            System.clearProperty(GRAPHS);
        }
    }

    private PackedBatch input(int seed, int length) {
        int[] tokens = new SplittableRandom(seed).ints(length, 0, config.vocabSize()).toArray();
        return PackedBatch.of(List.of(new Encoded(tokens, new byte[length], false)), null);
    }
}
