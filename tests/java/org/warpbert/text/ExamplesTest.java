package org.warpbert.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
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
import org.warpbert.text.TextTable.Options;

class ExamplesTest {
    @TempDir
    Path folder;

    @Test
    void colaByIndex() {
        Examples cola = read(TestData.shared("cola/in_domain_train.tsv"), Options.DEFAULT.withoutHeader(), "3", null,
                "1");
        assertEquals(8551, cola.read());
        assertEquals(0, cola.skippedEmpty());
        assertEquals(new Example(1, "Our friends won't buy this analysis, let alone the next one we propose.", null,
                "1"), cola.rows().get(0));
        LabelMap labels = LabelMap.fromTraining(cola);
        assertEquals(List.of("0", "1"), labels.labels());
        int[] ids = labels.ids(cola);
        assertEquals(8551, ids.length);
        assertEquals(1, ids[0]);
    }

    /** Cells with a separator, or JSON's lists of texts and numbers; a text with the separator in a list is one label. */
    @Test
    void setsOfLabels() throws IOException {
        Path tsv = Files.writeString(folder.resolve("sets.tsv"), "a\tx; y z;;\nb\t\nc\t;\n");
        Path json = Files.writeString(folder.resolve("sets.jsonl"), "{\"0\":\"a\",\"1\":[\"x\",\" y;z \",3,\"\"]}\n{\"0\":\"b\",\"1\":null}\n{\"0\":\"c\",\"1\":\"p;q\"}\n");
        assertEquals(List.of(List.of("x", "y z"), List.of(), List.of()), sets(tsv));
        assertEquals(List.of(List.of("x", "y;z", "3"), List.of(), List.of("p", "q")), sets(json));
        try (TextTable table = TextTable.open(json, Options.DEFAULT)) {
            assertEquals(List.of("3", "p", "q", "x", "y;z"), LabelMap.fromSets(Examples.readSets(table, "0", null, "1", ";")).labels());
        }
        Files.writeString(json, "{\"0\":\"a\",\"1\":[[\"x\"]]}\n");
        assertTrue(assertThrows(WarpBertException.class, () -> sets(json)).getMessage().contains("sets.jsonl, line 1"));
    }

    /** Jigsaw's form: a column for each label; quoted texts with line breaks; JSON's numbers and booleans. */
    @Test
    void columnsOfZeroAndOne() throws IOException {
        Path csv = Files.writeString(folder.resolve("flags.csv"), "id,text,toxic,threat,obscene\n1,\"a \"\"b\"\",\nc\",0,1,1\n2,d,0,0,0\n3,,1,1,1\n");
        assertEquals(List.of(List.of("obscene", "threat"), List.of()), flags(csv, "obscene", "threat"));
        Path json = Files.writeString(folder.resolve("flags.jsonl"), "{\"text\":\"a\",\"x\":1,\"y\":true}\n{\"text\":\"b\",\"x\":0,\"y\":false}\n");
        assertEquals(List.of(List.of("x", "y"), List.of()), flags(json, "x", "y"));
        assertTrue(assertThrows(WarpBertException.class, () -> flags(csv, "toxic", "insult")).getMessage().contains("no column 'insult'"));
        Files.writeString(csv, "text,toxic,threat\na,0,1\nb,-1,0\n");
        assertTrue(assertThrows(WarpBertException.class, () -> flags(csv, "toxic", "threat")).getMessage()
                .contains("flags.csv, line 3: the column 'toxic' holds '-1'"));
    }

    private static List<List<String>> flags(Path file, String... labels) {
        try (TextTable table = TextTable.open(file, Options.DEFAULT)) {
            return Examples.readFlags(table, "text", null, List.of(labels)).rows().stream().map(Example::labels).toList();
        }
    }

    private static List<List<String>> sets(Path file) {
        try (TextTable table = TextTable.open(file, Options.DEFAULT.withoutHeader())) {
            return Examples.readSets(table, "0", null, "1", ";").rows().stream().map(Example::labels).toList();
        }
    }

    /** The rows that broke the notebook: 5 empty reviews in train, 3 in test. */
    @Test
    void nsmcSkipsItsEmptyTexts() {
        Examples train = read(TestData.shared("nsmc/ratings_train.txt.gz"), Options.DEFAULT, "document", null, "label");
        assertEquals(150_000, train.read());
        assertEquals(5, train.skippedEmpty());
        assertEquals(149_995, train.rows().size());
        Examples test = read(TestData.shared("nsmc/ratings_test.txt.gz"), Options.DEFAULT, "document", null, "label");
        assertEquals(3, test.skippedEmpty());
        assertEquals("\uad73 \u314b", test.rows().get(0).text());
        assertEquals(2, test.rows().get(0).line());
    }

    @Test
    void pairsAndTextLabels() {
        Examples xnli = read(TestData.shared("kornlu/xnli.dev.ko.tsv"), Options.DEFAULT, "sentence1", "sentence2",
                "gold_label");
        assertEquals(2490, xnli.rows().size());
        assertEquals(List.of("contradiction", "entailment", "neutral"), LabelMap.fromTraining(xnli).labels());
    }

    @Test
    void blankTextsAreCountedAndBlankLabelsRefused() throws IOException {
        Path file = Files.writeString(folder.resolve("a.tsv"), "text\tlabel\n  \t1\nx\t 0 \n\t\ny\t\n");
        WarpBertException error = assertThrows(WarpBertException.class,
                () -> read(file, Options.DEFAULT, "text", null, "label"));
        assertTrue(error.getMessage().contains("a.tsv, line 5: the label (column label) is empty"),
                error.getMessage());
        Examples unlabelled = read(file, Options.DEFAULT, "text", null, null);
        assertEquals(2, unlabelled.skippedEmpty());
        assertEquals(List.of("x", "y"), unlabelled.rows().stream().map(Example::text).toList());
        assertEquals(List.of("y"), unlabelled.select(new int[] {1}).rows().stream().map(Example::text).toList());
        Path empty = Files.writeString(folder.resolve("b.tsv"), "text\tlabel\n");
        assertTrue(assertThrows(WarpBertException.class, () -> read(empty, Options.DEFAULT, "text", null, null))
                .getMessage().contains("no row with text"));
    }

    @Test
    void labelsSortByValueOrByText() {
        assertEquals(List.of("-1", "2", "10"), map("10", "2", "-1", "2").labels());
        assertEquals(List.of("10", "2", "x"), map("x", "2", "10").labels());
        assertThrows(WarpBertException.class, () -> map("a", "a"));
        assertThrows(WarpBertException.class, () -> LabelMap.of(List.of("a", "a")));
    }

    @Test
    void unknownLabelNamesFileLineAndTheKnownOnes() {
        LabelMap labels = map("neg", "pos");
        WarpBertException error = assertThrows(WarpBertException.class,
                () -> labels.id(new Example(7, "x", null, "neutral"), Path.of("dev.tsv")));
        assertEquals("dev.tsv, line 7: the label 'neutral' was not seen in training; known labels: neg, pos.",
                error.getMessage());
    }

    @Test
    void placeholdersOfHuggingFaceMeanTheirNumbers() {
        LabelMap labels = LabelMap.of(List.of("LABEL_0", "LABEL_1"));
        assertTrue(labels.placeholders());
        assertArrayEquals(new int[] {1, 0, 1}, labels.ids(examples("1", "0", "LABEL_1")));
        assertFalse(map("0", "1").placeholders());
    }

    private static LabelMap map(String... labels) {
        return LabelMap.fromTraining(examples(labels));
    }

    private static Examples examples(String... labels) {
        List<Example> rows = Arrays.stream(labels).map(label -> new Example(1, "x", null, label)).toList();
        return new Examples(Path.of("train.tsv"), rows, rows.size(), 0);
    }

    private static Examples read(Path file, Options options, String text, String pair, String label) {
        try (TextTable table = TextTable.open(file, options)) {
            return Examples.read(table, text, pair, label);
        }
    }
}
