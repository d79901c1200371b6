package org.warpbert.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.WarpBertException;

class SquadFileTest {
    @TempDir Path folder;

    private Path file(String json) throws IOException {
        return Files.writeString(folder.resolve("squad.json"), json);
    }

    private Path questions(String qas) throws IOException {
        return file("{\"version\":\"2.0\",\"data\":[{\"title\":\"Tea\",\"paragraphs\":[{\"context\":\"Tea 🍵 comes from China.\",\"qas\":[" + qas + "]}]}]}");
    }

    private void refused(Path file, String... parts) {
        String message = assertThrows(WarpBertException.class, () -> SquadFile.read(file)).getMessage();
        for (String part : parts) {
            assertTrue(message.contains(part), () -> "'" + part + "' is not in: " + message);
        }
    }

    @Test
    void offsetsCountCodePoints() throws IOException {
        SquadFile file = SquadFile.read(questions("{\"id\":\"q\",\"question\":\"Where from?\",\"answers\":[{\"text\":\"China\",\"answer_start\":17}]}"));
        Question question = file.questions().get(0);
        assertEquals("China", question.context().substring(question.located().start(), question.located().end()));
        assertEquals("2.0", file.version());
        assertEquals(List.of(), file.notes());
    }

    @Test
    void answersElsewhereAreCountedAndStillJudgedBy() throws IOException {
        SquadFile file = SquadFile.read(questions("""
                {"id":"a","question":"?","answers":[{"text":"China","answer_start":18},{"text":"Tea","answer_start":0}]},
                {"id":"b","question":"?","answers":[{"text":"India","answer_start":900}]},
                {"id":"c","question":"?","answers":[],"is_impossible":true}"""));
        assertEquals("Tea", file.questions().get(0).located().text());
        assertEquals("China", file.questions().get(0).answers().get(0).text());
        assertNull(file.questions().get(1).located());
        assertTrue(file.questions().get(1).answerable());
        assertTrue(!file.questions().get(2).answerable());
        assertEquals(2, file.misplaced());
        assertTrue(file.notes().get(0).contains("2 answers") && file.notes().get(0).contains("article 1 'Tea', paragraph 1, question a: 'China' is not at 18"), file.notes().get(0));
        assertSame(file.questions().get(0).context(), file.questions().get(2).context());
    }

    @Test
    void whatIsWrongIsNamed() throws IOException {
        refused(questions("{\"id\":\"a\",\"question\":\"?\",\"answers\":[{\"text\":\"China\",\"answer_start\":3}]}"), "No answer is at its answer_start", "question a");
        refused(questions("{\"id\":\"a\",\"question\":\"?\"}"), "squad.json, article 1 'Tea', paragraph 1, question a", "no \"answers\"");
        refused(questions("{\"id\":\"a\",\"question\":\"?\",\"answers\":[{\"text\":\"China\",\"answer_start\":\"17\"}]}"), "question a", "answer_start");
        refused(questions("{\"id\":\"a\",\"question\":\"?\",\"is_impossible\":true,\"answers\":[{\"text\":\"China\",\"answer_start\":17}]}"), "question a", "is_impossible");
        refused(questions("{\"id\":\"a\",\"question\":\"?\",\"answers\":[]},{\"id\":\"a\",\"question\":\"?\",\"answers\":[]}"), "question a", "same id");
        refused(questions("{\"id\":\"a\",\"answers\":[]}"), "question a", "\"question\" must be a text, and is missing");
        refused(questions(""), "holds no question");
        refused(file("{\"data\":[{\"paragraphs\":[{\"context\":\" \",\"qas\":[]}]}]}"), "article 1, paragraph 1", "context is empty");
        refused(file("{\"data\":[{\"paragraphs\":{}}]}"), "article 1", "\"paragraphs\" must be a list");
        refused(file("{\"data\":["), "squad.json", "malformed JSON at line 1");
        refused(file("{\"data\":[]}\n{\"data\":[]}"), "squad.json", "malformed JSON at line 2");
        refused(file("[]"), "squad.json", "\"data\"");
        refused(folder.resolve("nowhere.json"), "nowhere.json");
    }

    @Test
    void questionsToBeAnsweredNeedNoAnswers() throws IOException {
        assertEquals("?", SquadFile.readQuestions(questions("{\"id\":\"a\",\"question\":\"?\"}")).questions().get(0).text());
    }

    /** Counts that the files' makers give, and that a plain look at the JSON confirms. */
    @Test
    void readsTheRealFiles() {
        SquadFile first = SquadFile.read(TestData.shared("squad/dev-v1.1.rebuilt.json"));
        assertEquals(48, first.articles());
        assertEquals(10570, first.questions().size());
        assertEquals(0, first.misplaced());
        SquadFile second = SquadFile.read(TestData.shared("squad/dev-v2.0.rebuilt.json"));
        assertEquals(11873, second.questions().size());
        assertEquals(5945, second.questions().stream().filter(question -> !question.answerable()).count());
        SquadFile korean = SquadFile.read(TestData.shared("korquad/KorQuAD_v1.0_dev.json"));
        assertEquals(5774, korean.questions().size());
        assertEquals("KorQuAD_v1.0_dev", korean.version());
        assertEquals(0, korean.misplaced());
    }
}
