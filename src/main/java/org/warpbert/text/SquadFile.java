package org.warpbert.text;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.warpbert.WarpBertException;
import org.warpbert.format.AtomicFile;

/**
 * Questions in the JSON of SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, 2018), which KorQuAD 1.0 shares. A question without
 * answers is one that its context does not answer. As in the official readers, an answer whose text is not at its
 * {@code answer_start} (in code points) teaches nothing, and is counted; it is still right where answers are judged.
 *
 * @param version   the file's version line, or an empty text
 * @param articles  number of articles
 * @param questions in file order
 * @param misplaced answers that are not where the file says
 * @param first     where the first of them is, for a note; null where there is none
 */
public record SquadFile(Path file, String version, int articles, List<Question> questions, int misplaced, String first) {
    private static final ObjectMapper JSON = new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS); // what is behind the end would be lost

    /** Reads questions with answers: every one must have {@code answers} or say that it {@code is_impossible}. */
    public static SquadFile read(Path file) {
        return new Reader(file, true).read();
    }

    /** Reads questions to be answered; what answers there are is read too. */
    public static SquadFile readQuestions(Path file) {
        return new Reader(file, false).read();
    }

    /** The file as JSON, known to have {@code data}, a list. */
    public static JsonNode json(Path file) {
        try {
            JsonNode json = JSON.readTree(Files.readAllBytes(file));
            if (json == null || !json.path("data").isArray()) {
                throw new WarpBertException(file + " is not SQuAD's JSON: it needs an object with a list \"data\" of articles.");
            }
            return json;
        } catch (JsonProcessingException e) {
            throw new WarpBertException(file + " is malformed JSON" + (e.getLocation() == null ? "" : " at line "
                    + e.getLocation().getLineNr() + ", column " + e.getLocation().getColumnNr()) + ": " + AtomicFile.malformed(e), e);
        } catch (IOException e) {
            throw new WarpBertException(file + " cannot be read: " + AtomicFile.reason(e) + ".", e);
        }
    }

    /** What a user should know of the reading. */
    public List<String> notes() {
        return misplaced == 0 ? List.of() : List.of(String.format(Locale.ROOT,
                "%s: %,d answers are not at their answer_start and are not learned from; the first: %s", file, misplaced, first));
    }

    private static final class Reader {
        private final Path file;
        private final boolean labelled;
        private final List<Question> questions = new ArrayList<>();
        private final Set<String> ids = new HashSet<>();
        private int answers;
        private int misplaced;
        private String first;

        Reader(Path file, boolean labelled) {
            this.file = file;
            this.labelled = labelled;
        }

        SquadFile read() {
            JsonNode json = json(file);
            int article = 0;
            for (JsonNode each : json.path("data")) {
                String where = file + ", article " + (article + 1) + (each.path("title").isTextual() ? " '" + each.path("title").asText() + "'" : "");
                int paragraph = 0;
                for (JsonNode part : list(each, "paragraphs", where)) {
                    paragraph(part, article, where + ", paragraph " + ++paragraph);
                }
                article++;
            }
            if (questions.isEmpty()) {
                throw new WarpBertException(file + " holds no question.");
            }
            if (answers > 0 && misplaced == answers) {
                throw new WarpBertException("No answer is at its answer_start, which counts characters from 0: " + first + ".");
            }
            return new SquadFile(file, json.path("version").asText(""), article, questions, misplaced, first);
        }

        private void paragraph(JsonNode json, int article, String where) {
            String context = text(json, "context", where);
            if (context.isBlank()) {
                throw new WarpBertException(where + ": the context is empty.");
            }
            for (JsonNode question : list(json, "qas", where)) {
                String id = text(question, "id", where);
                String here = where + ", question " + id;
                if (!ids.add(id)) {
                    throw new WarpBertException(here + ": another question has the same id.");
                }
                questions.add(new Question(id, article, text(question, "question", here), context, answers(question, context, here)));
            }
        }

        private List<Question.Answer> answers(JsonNode question, String context, String where) {
            boolean impossible = question.path("is_impossible").asBoolean(false);
            if (!question.has("answers")) {
                if (labelled && !impossible) {
                    throw new WarpBertException(where + ": it has no \"answers\".");
                }
                return List.of();
            }
            List<Question.Answer> found = new ArrayList<>();
            for (JsonNode answer : list(question, "answers", where)) {
                String text = text(answer, "text", where);
                JsonNode start = answer.path("answer_start");
                if (text.isEmpty() || !start.isIntegralNumber() || !start.canConvertToInt()) {
                    throw new WarpBertException(where + ": an answer needs a text and an answer_start, a whole number.");
                }
                int at = place(context, text, start.intValue());
                answers++;
                if (at == Question.NOWHERE && misplaced++ == 0) {
                    first = where + ": '" + text + "' is not at " + start;
                }
                found.add(new Question.Answer(text, at));
            }
            if (impossible && !found.isEmpty()) {
                throw new WarpBertException(where + ": is_impossible is true, yet it has answers.");
            }
            return found;
        }

        /** SQuAD counts in code points, Java in UTF-16 units. */
        private static int place(String context, String text, int codePoint) {
            if (codePoint < 0 || codePoint > context.codePointCount(0, context.length())) {
                return Question.NOWHERE;
            }
            int at = context.offsetByCodePoints(0, codePoint);
            return context.startsWith(text, at) ? at : Question.NOWHERE;
        }

        private static JsonNode list(JsonNode json, String key, String where) {
            if (!json.path(key).isArray()) {
                throw new WarpBertException(where + ": \"" + key + "\" must be a list" + (json.has(key) ? "." : ", and is missing."));
            }
            return json.path(key);
        }

        private static String text(JsonNode json, String key, String where) {
            if (!json.path(key).isTextual()) {
                throw new WarpBertException(where + ": \"" + key + "\" must be a text" + (json.has(key) ? "." : ", and is missing."));
            }
            return json.path(key).asText();
        }
    }
}
