package org.warpbert.task;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.ParameterTable;
import org.warpbert.text.Encoded;
import org.warpbert.text.Instance;
import org.warpbert.text.PackedBatch;

/** Every head that trains, with a batch for it: six sequences of very different lengths. */
public enum HeadKind {
    CLASSES(config -> ClassificationHead.parameters(config, 3), new ClassificationHead(3)),
    NUMBERS(config -> ClassificationHead.parameters(config, 2), new ClassificationHead(2, ElementLoss.SQUARED_ERROR)),
    TAGS(config -> TaggingHead.parameters(config, 3), new TaggingHead(3)),
    SPAN(SpanHead::parameters, new SpanHead()),
    CHOICE(ChoiceHead::parameters, new ChoiceHead()),
    WORDS(config -> MaskedWordHead.parameters(config, true), new MaskedWordHead(true, 4));

    private static final int[] LENGTHS = {30, 3, 17, 61, 5, 12};
    private static final int VOCABULARY = 53;
    public static final BertConfig CONFIG = BertConfig.ofSizes(VOCABULARY, 32, 3, 1, 64, 64, 2);

    public final Head head;
    private final Function<BertConfig, ParameterTable> parameters;

    HeadKind(Function<BertConfig, ParameterTable> parameters, Head head) {
        this.parameters = parameters;
        this.head = head;
    }

    /** Of a BERT of {@link #CONFIG} with this head. */
    public ParameterTable table() {
        return parameters.apply(CONFIG);
    }

    public PackedBatch batch() {
        SplittableRandom random = new SplittableRandom(5);
        List<Instance> instances = new ArrayList<>();
        List<Encoded> sequences = new ArrayList<>();
        for (int length : LENGTHS) {
            byte[] segments = new byte[length];
            Arrays.fill(segments, length / 2, length, (byte) 1);
            sequences.add(new Encoded(random.ints(length, 0, VOCABULARY).toArray(), segments, false));
        }
        if (this == CHOICE) {
            return PackedBatch.of(List.of(new Instance(sequences.subList(0, 2), new int[] {1}, null), new Instance(sequences.subList(2, 6), new int[] {2}, null)));
        }
        for (Encoded sequence : sequences) {
            int[] tokens = random.ints(sequence.length(), 0, 3).toArray();
            int last = sequence.length() - 1;
            instances.add(switch (this) {
                case NUMBERS -> new Instance(List.of(sequence), new int[] {Float.floatToIntBits(last), Float.floatToIntBits(-last)}, null);
                case SPAN -> new Instance(List.of(sequence), new int[] {last / 2, last}, null);
                case TAGS -> Instance.ofTokens(sequence, tokens);
                case WORDS -> new Instance(List.of(sequence), new int[] {last % 2}, new int[][] {tokens});
                default -> Instance.of(sequence, last % 3);
            });
        }
        return PackedBatch.of(instances);
    }
}
