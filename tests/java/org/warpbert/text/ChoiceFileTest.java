package org.warpbert.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.WarpBertException;

class ChoiceFileTest {
    private static final String SWAG = ",video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,ending3,label\n";

    @TempDir Path folder;

    private Path file(String name, String text) throws IOException {
        return Files.writeString(folder.resolve(name), text);
    }

    private static void refused(Path file, String... parts) {
        String message = assertThrows(WarpBertException.class, () -> ChoiceFile.read(file)).getMessage();
        for (String part : parts) {
            assertTrue(message.contains(part), () -> "'" + part + "' is not in: " + message);
        }
    }

    @Test
    void readsSwagsColumns() throws IOException {
        List<ChoiceQuestion> rows = ChoiceFile.read(file("swag.csv", SWAG
                + "0,v,1,x,\"He sits, tired.\",He,gold,sleeps.,flies.,melts.,sings.,0\n1,v,2,x,She runs.,Then she,gold,w,x,y,z,3\n"));
        assertEquals(new ChoiceQuestion(2, "He sits, tired.", "He", List.of("sleeps.", "flies.", "melts.", "sings."), 0), rows.get(0));
        assertEquals(3, rows.get(1).label());
    }

    @Test
    void readsJsonLinesOfAnyNumberOfChoices() throws IOException {
        List<ChoiceQuestion> rows = ChoiceFile.read(file("q.jsonl", "{\"question\":\"2 + 2?\",\"choices\":[\"3\",\"4\"],\"label\":1}\n"
                + "{\"question\":\"Sky?\",\"label\":\"0\",\"choices\":[\"blue\",\"red\",\"green\"]}\n"));
        assertEquals(new ChoiceQuestion(1, null, "2 + 2?", List.of("3", "4"), 1), rows.get(0));
        assertEquals(new ChoiceQuestion(2, null, "Sky?", List.of("blue", "red", "green"), 0), rows.get(1));
        assertEquals(2, ChoiceFile.read(file("l.jsonl", "{\"question\":\"Sky?\",\"label\":\"C\",\"choices\":[\"x\",\"y\",\"z\"]}\n")).get(0).label());
        try (TextTable table = TextTable.open(file("u.jsonl", "{\"context\":\"c\",\"choices\":[\"a\",\"b\"]}\n"), TextTable.Options.DEFAULT)) {
            assertEquals(List.of(new ChoiceQuestion(1, "c", null, List.of("a", "b"), PackedBatch.IGNORE)), ChoiceFile.readQuestions(table));
        }
    }

    /** BERT's pairing: what is known, then what is asked with the candidate after it. */
    @Test
    void candidatesAreSequencesOfOneExample() {
        try (WordPieceTokenizer tokenizer = TestData.uncased()) {
            Candidates candidates = new Candidates(tokenizer, List.of(new ChoiceQuestion(1, "He sits.", "He", List.of("sleeps", "runs"), 1),
                    new ChoiceQuestion(2, null, "Sky?", List.of("blue", "red", "deep sea green"), 0)), 9);
            List<Instance> instances = candidates.encode(new int[] {1, 0});
            assertEquals(List.of("[CLS] sky ? [SEP] blue [SEP]", "[CLS] sky ? [SEP] red [SEP]", "[CLS] sky ? [SEP] deep sea green [SEP]"),
                    instances.get(0).sequences().stream().map(s -> pieces(tokenizer, s)).toList());
            assertEquals(List.of("[CLS] he sits . [SEP] he sleeps [SEP]", "[CLS] he sits . [SEP] he runs [SEP]"),
                    instances.get(1).sequences().stream().map(s -> pieces(tokenizer, s)).toList());
            assertArrayEquals(new int[] {0}, instances.get(0).labels());
            PackedBatch batch = PackedBatch.of(instances);
            assertArrayEquals(new int[] {0, 3, 5}, batch.cuExamples());
            assertArrayEquals(new int[] {0, 2}, batch.slice(1, 2).cuExamples());
        }
    }

    private static String pieces(WordPieceTokenizer tokenizer, Encoded encoded) {
        return String.join(" ", Arrays.stream(encoded.tokens()).mapToObj(tokenizer::token).toList());
    }

    @Test
    void whatIsWrongIsNamed() throws IOException {
        refused(file("a.jsonl", "{\"question\":\"?\",\"choices\":[\"a\",\"b\"],\"label\":2}\n"), "a.jsonl, line 1", "'2'", "0 to 1", "A to B");
        refused(file("a.jsonl", "{\"question\":\"?\",\"choices\":[\"a\",\"b\"],\"label\":\"b\"}\n"), "line 1", "'b'");
        refused(file("a.jsonl", "{\"question\":\"?\",\"choices\":[\"a\",\"b\"],\"label\":\"C\"}\n"), "line 1", "'C'");
        refused(file("a.jsonl", "{\"question\":\"?\",\"choices\":[\"a\"],\"label\":0}\n"), "line 1", "two choices");
        refused(file("a.jsonl", "{\"question\":\"?\",\"choices\":[\"a\",\" \"],\"label\":0}\n"), "line 1", "choice 1 is empty");
        refused(file("a.jsonl", "{\"question\":\"?\",\"choices\":\"a, b\",\"label\":0}\n"), "line 1", "'choices'", "list of texts");
        refused(file("a.jsonl", "{\"question\":\"?\",\"choices\":[\"a\",7],\"label\":0}\n"), "line 1", "list of texts");
        refused(file("a.jsonl", "{\"question\":\" \",\"choices\":[\"a\",\"b\"],\"label\":0}\n"), "line 1", "neither context nor question");
        refused(file("a.jsonl", "{\"choices\":[\"a\",\"b\"],\"label\":0}\n"), "a.jsonl", "neither a 'context' nor a 'question'");
        refused(file("a.jsonl", "{\"question\":\"?\",\"options\":[\"a\",\"b\"],\"label\":0}\n"), "neither a list 'choices' nor columns 'ending0'", "question, options, label");
        refused(file("a.jsonl", "{\"question\":\"?\",\"choices\":[\"a\",\"b\"]}\n"), "no column 'label'");
        refused(file("a.csv", "question,choices,label\n?,a,0\n"), "line 2", "only JSONL");
        refused(file("b.csv", "sent2,ending0,ending1,label\nHe,a,b,0\n"), "no column 'sent1'");
        refused(file("c.csv", SWAG), "holds no question");
    }
}
