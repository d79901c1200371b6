package org.warpbert.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.WarpBertException;

class ConllFileTest {
    private static final String UNIVERSAL = """
            # sent_id = 1
            # text = I don't
            1\tI\tI\tPRON\tPRP\t_\t2\tnsubj\t_\t_
            2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
            2\tdo\tdo\tAUX\tVBP\t_\t0\troot\t_\t_
            3\tn't\tnot\tPART\tRB\t_\t2\tadvmod\t_\t_
            3.1\tgo\tgo\tVERB\tVB\t_\t_\t_\t_\t_

            # text = #
            1\t#\t#\tSYM\tNN\t_\t0\troot\t_\t_
            """;

    @TempDir
    Path folder;

    private Path file(String name, String content) {
        try {
            return Files.writeString(folder.resolve(name), content);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Sentences as {@code line:word/label …}. */
    private static List<String> read(Path file, String text, String label) {
        return new ConllFile(file, text, label).read().stream().map(sentence -> sentence.words().stream()
                .map(w -> w.line() + ":" + w.text() + "/" + w.label()).collect(Collectors.joining(" "))).toList();
    }

    private static void fails(Path file, String text, String label, String... parts) {
        String message = assertThrows(WarpBertException.class, () -> new ConllFile(file, text, label).read()).getMessage();
        for (String part : parts) {
            assertTrue(message.contains(part), () -> "'" + part + "' is not in: " + message);
        }
    }

    @Test
    void columnsBetweenTabsHashtagsAndComments() {
        Path file = file("a.conll", "# id 7\n\n\nin\tO\r\nNew York\tB-LOC\n \t\n#\tO\n#nlp\tB-X\n# a comment\n\nend\tO");
        assertEquals(List.of("4:in/O 5:New York/B-LOC", "7:#/O 8:#nlp/B-X", "11:end/O"), read(file, null, null));
        assertEquals(List.of("4:O/in 5:B-LOC/New York", "7:O/# 8:B-X/#nlp", "11:O/end"), read(file, "1", "0"));
    }

    /** A comment may have a tab itself, as KLUE's does. */
    @Test
    void commentsOfTheSameWidth() {
        Path file = file("a.tsv", "## klue-ner-v1_train_1\t<\uc601\ub3d9:LC>\n\uc601\tB-LC\n#\ub3d9\tO\n# \tO\n");
        assertEquals(List.of("2:\uc601/B-LC 3:#\ub3d9/O 4:#/O"), read(file, null, null));
        Path spaces = file("b.txt", "# O\n#nlp B-X\n");
        assertEquals(List.of("1:#/O 2:#nlp/B-X"), read(spaces, null, null));
    }

    @Test
    void columnsBetweenSpacesAndDocumentStarts() {
        Path file = file("eng.train", "-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\nrejects  VBZ B-VP O \n-DOCSTART- O\nPeter NNP B-NP B-PER\n");
        assertEquals(List.of("3:EU/B-ORG 4:rejects/O", "6:Peter/B-PER"), read(file, null, null));
        assertEquals(List.of("3:EU/NNP 4:rejects/VBZ", "6:Peter/NNP"), read(file, "0", "1"));
    }

    @Test
    void universalDependencies() {
        Path file = file("a.conllu", UNIVERSAL);
        assertEquals(List.of("3:I/PRON 5:do/AUX 6:n't/PART", "10:#/SYM"), read(file, null, null));
        assertEquals(List.of("3:I/PRP 5:do/VBP 6:not/RB", "10:#/NN"), read(file, "lemma", "XPOS"));
        assertEquals(List.of("3:I/nsubj 5:do/root 6:n't/advmod", "10:#/root"), read(file, null, "7"));
    }

    @Test
    void whatIsWrongIsNamedWithItsLine() {
        fails(file("a.conll", "a\tO\nb\n"), null, null, "a.conll, line 2", "1 columns between tabs", "2");
        fails(file("a.conll", "a O\nb c O\n"), null, null, "a.conll, line 2", "3 columns between spaces");
        fails(file("a.conll", "a\tO\nb\t\n"), null, null, "a.conll, line 2", "'b' has no label (column 1)");
        fails(file("a.conll", "a\tO\n\tO\n"), null, null, "line 2", "the word (column 0) is empty");
        fails(file("a.conll", "a\nb\n"), null, null, "one column");
        fails(file("a.conll", "a\tO\n"), null, "2", "no column '2'", "0 to 1");
        fails(file("a.conll", "\n\n"), null, null, "no words");
        fails(file("a.conllu", UNIVERSAL), null, "ner", "no column 'ner'", "3 'upos'");
        fails(file("a.conllu", "1\tI\tI\tPRON\n"), null, null, "line 1", "4 columns", "10");
        fails(file("a.conllu", UNIVERSAL.replace("3\tn't", "x\tn't")), null, null, "line 6", "'x'");
        fails(file("a.conllu", UNIVERSAL.replace("PART\tRB", "PART\t_")), null, "xpos", "line 6", "'n't' has no label");
        fails(file("a.conllu", "# only\n"), null, null, "no words");
        fails(folder.resolve("none.conll"), null, null, "none.conll", "does not exist");
        fails(folder, null, null, "folder");
    }

    @Test
    void realFiles() {
        List<TaggedSentence> wnut = new ConllFile(TestData.shared("ner/wnut17train.conll"), null, null).read();
        assertEquals(3394, wnut.size());
        assertEquals(62730, wnut.stream().mapToInt(s -> s.words().size()).sum());
        assertEquals(13, wnut.stream().flatMap(s -> s.labels().stream()).collect(Collectors.toCollection(TreeSet::new)).size());
        List<TaggedSentence> ewt = new ConllFile(TestData.shared("pos/en_ewt-ud-dev.conllu"), null, null).read();
        assertEquals(2001, ewt.size());
        assertEquals(25147, ewt.stream().mapToInt(s -> s.words().size()).sum());
        assertEquals(17, ewt.stream().flatMap(s -> s.labels().stream()).collect(Collectors.toCollection(TreeSet::new)).size());
    }
}
