package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnxruntime.OrtException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.format.ModelFolder;
import org.warpbert.hub.Hub;
import org.warpbert.reference.OnnxMiniLm;
import org.warpbert.text.Capacity;
import org.warpbert.text.Encoded;
import org.warpbert.text.PackedBatch;
import org.warpbert.text.WordPieceTokenizer;

/**
 * The real all-MiniLM-L6-v2, packed here and padded on ONNX Runtime: another engine, another layout, the same weights.
 * Both compute in float32, so the bounds hold the sum of two engines' roundings through six layers: 4e-6 of the norm
 * and 2e-5 in any element of about 1 (measured 1.3e-6 and 5.2e-6).
 */
class MiniLmTest {
    private static final List<String> TEXTS = List.of(
            "Yes.",
            "The committee meets on Thursday.",
            "She had never seen the sea before that summer, and it frightened her a little.",
            "Rain delayed the second half of the match by almost forty minutes.",
            "What is the boiling point of water at an altitude of 2,500 metres?",
            "Please remove the batteries before returning the device for repair.",
            "The treaty was signed in 1648 and ended thirty years of war in central Europe.",
            "A cat sleeps on the warm bonnet of a parked car.",
            "Photosynthesis turns carbon dioxide and water into sugar and oxygen, using the energy of light.",
            "I don't think he's coming; it's half past nine already!",
            "Naïve café owners in Zürich pay 4.50 francs for an espresso.",
            "The quarterly report shows revenue of $3.2 billion, down 4% from a year earlier.",
            "Turn left at the church, cross the bridge, and the library is the second building on your right.",
            "def quicksort(xs): return xs if len(xs) < 2 else quicksort([x for x in xs[1:] if x < xs[0]])",
            "Antidisestablishmentarianism is a long word.",
            "東京は日本の首都です。",
            "No",
            "Bread, cheese, two onions, a bottle of olive oil and, if there are any, some ripe tomatoes.",
            "The patient was given 5 mg of the drug twice daily for two weeks, without side effects.",
            "Colorless green ideas sleep furiously.");

    @Test
    void lastHiddenStateIsOnnxRuntimes() throws OrtException {
        Path path = Hub.resolve("all-MiniLM-L6-v2");
        try (ModelFolder folder = ModelFolder.open(path); WordPieceTokenizer tokenizer = new WordPieceTokenizer(folder.vocabulary(), folder.lowerCase());
                Backend backend = Backends.open("cpu", 2); OnnxMiniLm onnx = new OnnxMiniLm()) {
            List<String> fresh = new ArrayList<>();
            List<Encoded> encoded = new ArrayList<>(tokenizer.encode(TEXTS, null, 512));
            Encoded longest = tokenizer.encode(String.join(" ", TEXTS) + " " + String.join(" ", TEXTS), null, 512);
            assertEquals(512, longest.length());
            try (Parameters parameters = Parameters.load(backend, ParameterTable.bert(folder.config()).build(), folder.tensors(), WeightFormat.F32, 0, fresh);
                    BertModel model = new BertModel(backend, folder.config(), parameters, null, Head.NONE, Capacity.of(1000, 20))) {
                assertEquals(List.of(), fresh, "every weight is the file's");
                compare(encoded, model, onnx);
                compare(List.of(longest), model, onnx);
            }
        }
    }

    private static void compare(List<Encoded> encoded, BertModel model, OnnxMiniLm onnx) throws OrtException {
        float[] expected = onnx.run(encoded.stream().map(Encoded::tokens).toArray(int[][]::new)).lastHidden();
        model.forward(PackedBatch.of(encoded, null));
        float[] actual = model.lastHiddenState();
        assertEquals(expected.length, actual.length);
        double largest = 0;
        double difference = 0;
        double size = 0;
        for (int i = 0; i < actual.length; i++) {
            double d = (double) actual[i] - expected[i];
            largest = Math.max(largest, Math.abs(d));
            difference += d * d;
            size += (double) expected[i] * expected[i];
        }
        double relative = Math.sqrt(difference / size);
        double most = largest;
        assertTrue(relative <= 4e-6 && most <= 2e-5, () -> encoded.size() + " sequences: relative norm " + relative + ", at most " + most);
    }
}
