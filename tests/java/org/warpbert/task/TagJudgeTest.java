package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.model.BertModel;
import org.warpbert.model.Parameters;
import org.warpbert.model.TinyBert;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.Instance;
import org.warpbert.text.LabelMap;
import org.warpbert.text.PackedBatch;
import org.warpbert.text.TaggedSentence;

/** What is made of words behind the cut, by a model that answers the same everywhere. */
class TagJudgeTest {
    private static TaggedSentence sentence(String... labels) {
        return new TaggedSentence(IntStream.range(0, labels.length).mapToObj(i -> new TaggedSentence.Word("w", labels[i], i + 1)).toList());
    }

    /** Judges two sentences, of which the first {@code read} words of each are read, in two batches. */
    private static Judge judge(List<String> labels, int answer, int read, TaggedSentence... sentences) {
        TinyBert tiny = new TinyBert(24, 3, 40, 1, Activation.GELU, 0, labels.size(), 1);
        TaggingHead head = new TaggingHead(labels.size());
        Judge judge = new TagJudge(List.of(sentences), LabelMap.of(labels), head);
        float[] bias = new float[labels.size()];
        bias[answer] = 1;
        try (Backend backend = Backends.open("cpu", 1); Parameters parameters = tiny.parameters(backend, TaggingHead.parameters(tiny.config, labels.size()));
                BertModel model = new BertModel(backend, tiny.config, parameters, null, head, new Capacity(50, 5, 5, 0, 50))) {
            parameters.set("classifier.weight", new float[24 * labels.size()]);
            parameters.set("classifier.bias", bias);
            for (TaggedSentence sentence : sentences) {
                int words = Math.min(read, sentence.words().size());
                int[] tokenLabels = new int[2 * words + 1]; // [CLS], then two pieces a word
                Arrays.setAll(tokenLabels, i -> i % 2 == 1 ? 0 : PackedBatch.IGNORE);
                PackedBatch batch = PackedBatch.of(List.of(Instance.ofTokens(new Encoded(new int[2 * words + 1], new byte[2 * words + 1], false), tokenLabels)));
                model.forward(batch);
                judge.add(batch);
            }
        }
        return judge;
    }

    @Test
    void wordsBehindTheCutAreOutsideAndNeverRight() {
        List<String> labels = List.of("B-X", "I-X", "O");
        TaggedSentence[] sentences = {sentence("O", "O", "B-X", "O"), sentence("B-X", "I-X", "O")};
        Map<String, Double> outside = judge(labels, 2, 9, sentences).metrics();
        assertEquals(List.of("f1", "precision", "recall", "accuracy"), List.copyOf(outside.keySet()));
        assertEquals(4.0 / 7, outside.get("accuracy"));
        assertEquals(2.0 / 7, judge(labels, 2, 2, sentences).metrics().get("accuracy"), "the O words behind the cut are not right");
        Judge all = judge(labels, 0, 9, sentences); // B-X everywhere: 7 entities, one of the 2 is right
        assertEquals(1.0 / 7, all.metrics().get("precision"));
        assertEquals(0.5, all.metrics().get("recall"));
        assertEquals(2.0, all.byType().get("X").get("support"));
        Judge cut = judge(labels, 0, 2, sentences); // 4 entities; the first sentence's is cut off and missed
        assertEquals(0, cut.metrics().get("precision"));
        assertEquals(0, cut.metrics().get("recall"));
        assertEquals(2.0, cut.byType().get("X").get("support"), "an entity behind the cut is there all the same");
        assertEquals(Map.of("f1", 0.0, "accuracy", 4.0 / 7), cut.baseline());
    }

    @Test
    void partsOfSpeechHaveTheirShareAlone() {
        List<String> labels = List.of("NOUN", "VERB");
        Judge judge = judge(labels, 0, 2, sentence("NOUN", "VERB", "VERB"), sentence("NOUN"));
        assertEquals(Map.of("accuracy", 0.5), judge.metrics());
        assertEquals(Map.of("accuracy", 0.5), judge.baseline());
        assertEquals(Map.of(), judge.byType());
        assertEquals(Map.of("accuracy", 1.0 / 3), judge(labels, 0, 2, sentence("NOUN", "VERB", "VERB")).metrics());
    }

    @Test
    void aSplitHasTheChosenSentences() {
        TagDataset all = new TagDataset(Path.of("f"), List.of(sentence("O"), sentence("B-X"), sentence("I-X")));
        assertEquals(List.of(sentence("I-X"), sentence("O")), all.select(new int[] {2, 0}).sentences());
        assertEquals(all.file(), all.select(new int[] {0}).file());
    }
}
