package org.warpbert.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.WarpBertException;
import org.warpbert.text.TextTable.Format;
import org.warpbert.text.TextTable.Options;

class TextTableTest {
    private static final Options NO_HEADER = Options.DEFAULT.withoutHeader();

    @TempDir
    Path folder;

    @Test
    void tsvTakesQuotesLiterally() {
        assertEquals(List.of("1: a|b", "2: \"open|it's \"\"", "3: |"),
                rows("t.tsv", "a\tb\r\n\"open\tit's \"\"\n\t", NO_HEADER));
    }

    @Test
    void csvQuotesCommasAndLineBreaks() {
        assertEquals(List.of("2: a, \"b\"|1", "3: two\r\nlines|2", "5: x|"),
                rows("t.csv", "text,label\r\n\"a, \"\"b\"\"\",1\r\n\"two\r\nlines\",2\r\nx,\r\n", Options.DEFAULT));
    }

    @Test
    void jsonLinesInAnyKeyOrder() {
        String json = "{\"text\":\"a\\u00e9\\n\\\"b\\\"\",\"label\":1}\n\n{\"label\":true,\"extra\":[1],\"text\":null}";
        assertEquals(List.of("1: a\u00e9\n\"b\"|1", "3: |true"), rows("t.jsonl", json, Options.DEFAULT));
    }

    @Test
    void gzipByteOrderMarkAndBlankLines() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(bytes)) {
            gzip.write("\ufeffid\ttext\n\n1\t\uad73 \u314b\ud83d\ude00\n\n".getBytes(StandardCharsets.UTF_8));
        }
        Path file = Files.write(folder.resolve("t.TSV.gz"), bytes.toByteArray());
        try (TextTable table = TextTable.open(file, Options.DEFAULT)) {
            assertEquals(List.of("id", "text"), table.header());
            assertEquals("\uad73 \u314b\ud83d\ude00", table.next().get(table.column("text")));
            assertNull(table.next());
        }
    }

    @Test
    void aBlankLineOfASingleColumnIsAnEmptyText() {
        assertEquals(List.of("1: a", "2: ", "3: b"), rows("t.txt", "a\n\nb\n", NO_HEADER));
    }

    @Test
    void linesLongerThanTheBuffer() {
        String lon = "\uc601".repeat(100_000);
        assertEquals(List.of("1: " + lon + "|1", "2: " + lon + "|2"),
                rows("t.tsv", lon + "\t1\n" + lon + "\t2", NO_HEADER));
        assertEquals(List.of("1: " + lon + "|1"), rows("t.csv", "\"" + lon + "\",1\n", NO_HEADER));
    }

    @ParameterizedTest
    @CsvSource(delimiter = ';', value = {
        "r.tsv;a\\tb\\n1\\t2\\n1\\n;line 3: the row has 1 cells, the first row has 2. Tabs separate cells and a line is a row",
        "r.tsv;a\\tb\\n1\\t2\\t3\\n;line 2: the row has 3 cells, the first row has 2. Tabs separate cells; --extra-cells",
        "r.csv;a,b\\n1,2\\n\\n1,2,3;line 4: the row has 3 cells",
        "q.csv;a,b\\n1,2\\n\"open,2\\n3,4\\n;line 3: a quote that opens in this row is never closed",
        "q.csv;a,b\\n\"x\" y,2\\n;line 2: not proper CSV",
        "j.jsonl;{\"a\":1}\\n{\"a\":2;line 2: malformed JSON",
        "j.jsonl;{\"a\":1}\\n{\"a\":2} x;line 2: malformed JSON",
        "j.jsonl;[1];line 1: a JSON object",
        "j.jsonl;'[\\n{\"a\":1}\\n]';line 1: a JSON list begins here",
        "j.jsonl;{\"a\":[1;close marker for Array",
        "j.jsonl;{\"a\":1}\\n{\"b\":2};line 2: there is no key 'a'",
        "j.jsonl;{\"a\":{\"b\":1}};line 1: the value of 'a' is a JSON array or object",
        "e.tsv;'';is empty",
        "e.csv;'';is empty",
        "e.jsonl;'\\n ';is empty",
        "x.parquet;a;extension",
        "z.tsv.gz;a\\tb\\n;GZIP",
    })
    void errorsNameFileAndLine(String name, String content, String expected) {
        String text = content.replace("\\n", "\n").replace("\\t", "\t");
        WarpBertException error = assertThrows(WarpBertException.class, () -> rows(name, text, Options.DEFAULT));
        assertTrue(error.getMessage().contains(name) && error.getMessage().contains(expected), error.getMessage());
        assertFalse(error.getMessage().contains("Exception"), error.getMessage());
    }

    @Test
    void malformedUtf8NamesLineAndByte() throws IOException {
        byte[] cp949 = {'a', '\t', '1', '\n', 'b', (byte) 0xb1, (byte) 0xb3, '\t', '2', '\n'};
        for (String name : List.of("k.tsv", "k.csv")) {
            Path file = Files.write(folder.resolve(name), cp949);
            WarpBertException error = assertThrows(WarpBertException.class, () -> rows(file, NO_HEADER));
            assertTrue(error.getMessage().endsWith(
                    name + ", line 2: byte 2 of the line (0xb1) is not UTF-8; convert the file to UTF-8."),
                    error.getMessage());
        }
        Path cut = Files.write(folder.resolve("cut.tsv"), new byte[] {'a', (byte) 0xea, (byte) 0xb5});
        assertTrue(assertThrows(WarpBertException.class, () -> rows(cut, NO_HEADER)).getMessage()
                .contains("line 1: byte 2"));
    }

    @Test
    void missingFilesFoldersAndColumns() throws IOException {
        assertTrue(message(folder.resolve("no.tsv")).contains("does not exist"));
        assertTrue(message(Files.createDirectory(folder.resolve("d.tsv"))).contains("is a folder"));
        Path file = Files.writeString(folder.resolve("c.tsv"), "id\tdocument\tid\n1\tx\t0\n");
        try (TextTable table = TextTable.open(file, Options.DEFAULT)) {
            assertEquals(1, table.column("document"));
            assertEquals(2, table.column("2"));
            assertTrue(assertThrows(WarpBertException.class, () -> table.column("label")).getMessage()
                    .contains("0 'id', 1 'document', 2 'id'"));
            assertThrows(WarpBertException.class, () -> table.column("3"));
            assertTrue(assertThrows(WarpBertException.class, () -> table.column("id")).getMessage()
                    .contains("several"));
        }
        try (TextTable table = TextTable.open(file, NO_HEADER)) {
            assertTrue(assertThrows(WarpBertException.class, () -> table.column("document")).getMessage()
                    .contains("0 to 2 (no header)"));
        }
        Path tabs = Files.writeString(folder.resolve("tabs.csv"), "a\tb\n1\t2\n");
        try (TextTable table = TextTable.open(tabs, Options.DEFAULT)) {
            assertTrue(assertThrows(WarpBertException.class, () -> table.column("a")).getMessage()
                    .contains("is it a TSV file?"));
        }
    }

    @Test
    void truncatedGzipSaysAfterWhichLine() throws IOException {
        byte[] whole = Files.readAllBytes(TestData.shared("nsmc/ratings_test.txt.gz"));
        Path cut = Files.write(folder.resolve("cut.txt.gz"), Arrays.copyOf(whole, 100_000));
        WarpBertException error = assertThrows(WarpBertException.class, () -> rows(cut, Options.DEFAULT));
        assertTrue(error.getMessage().matches("(?s).*cut.txt.gz, after line \\d{4}: cannot be read on: it ends too early"), error.getMessage());
    }

    @Test
    void realFiles() {
        assertEquals(8551, rows(TestData.shared("cola/in_domain_train.tsv"), NO_HEADER).size());
        assertEquals(527, rows(TestData.shared("cola/in_domain_dev.tsv"), NO_HEADER).size());
        assertEquals(5749, rows(TestData.shared("kornlu/sts-train.tsv"), Options.DEFAULT).size());
        assertEquals(2490, rows(TestData.shared("kornlu/xnli.dev.ko.tsv"), Options.DEFAULT).size());
    }

    /** A .csv by name that holds tabs, literal quotes, no header, and two more cells in some rows. */
    @Test
    void stsb() {
        Path file = TestData.shared("stsb/sts-train.csv");
        assertThrows(WarpBertException.class, () -> rows(file, NO_HEADER));
        WarpBertException ragged = assertThrows(WarpBertException.class,
                () -> rows(file, new Options(Format.TSV, false, false)));
        assertTrue(ragged.getMessage().contains("the row has 9 cells, the first row has 7"), ragged.getMessage());
        try (TextTable table = TextTable.open(file, new Options(Format.TSV, false, true))) {
            Examples examples = Examples.read(table, "5", "6", "4");
            assertEquals(5749, examples.rows().size());
            Example first = examples.rows().get(0);
            assertEquals(new Example(1, "A plane is taking off.", "An air plane is taking off.", "5.000"), first);
        }
    }

    private String message(Path file) {
        return assertThrows(WarpBertException.class, () -> TextTable.open(file, Options.DEFAULT).close())
                .getMessage();
    }

    private List<String> rows(String name, String content, Options options) {
        try {
            return rows(Files.writeString(folder.resolve(name), content), options);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Every row as "line: cell|cell". */
    private static List<String> rows(Path file, Options options) {
        List<String> rows = new ArrayList<>();
        try (TextTable table = TextTable.open(file, options)) {
            for (TextTable.Row row = table.next(); row != null; row = table.next()) {
                List<String> cells = new ArrayList<>();
                for (int i = 0; i < table.columns(); i++) {
                    cells.add(row.get(i));
                }
                rows.add(row.line() + ": " + String.join("|", cells));
            }
        }
        return rows;
    }
}
