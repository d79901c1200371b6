package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.task.AnswerMetric;

/** all-MiniLM-L6-v2 learns a dozen questions by heart, three without an answer, one context longer than a window. */
class QuestionAnsweringTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    /** Context, question, answer (null: none), question, answer, … */
    private static final String[][] TEXTS = {
        {"Marie Curie was born in Warsaw in 1867.", "Where was Curie born?", "Warsaw", "When was Curie born?", "1867", "Who taught Curie?", null},
        {"The Danube flows through Vienna and Budapest to the Black Sea.", "Where does the Danube end?", "the Black Sea", "How long is the Danube?", null},
        {"Gold melts at 1064 degrees. Silver melts at 962 degrees.", "At what does gold melt?", "1064 degrees", "At what does silver melt?", "962 degrees"},
        {"Bach wrote the Goldberg Variations for the harpsichord.", "Who wrote the Goldberg Variations?", "Bach", "When did Bach die?", null},
        {"In 1969 Neil Armstrong walked on the Moon while Michael Collins stayed in orbit, and Buzz Aldrin, who had been awake for a long "
            + "time, followed nineteen minutes later down the ladder to the dusty plain that is called the Sea of Tranquility.",
            "Who walked on the Moon?", "Neil Armstrong", "Who stayed in orbit?", "Michael Collins", "What is the plain called?", "the Sea of Tranquility"}};

    @TempDir static Path folder;
    private static Path data;
    private static Path run;
    private static CommandRun training;

    @BeforeAll
    static void train() throws IOException {
        ObjectNode json = JSON.createObjectNode().put("version", "2.0");
        ArrayNode articles = json.putArray("data");
        for (int t = 0; t < TEXTS.length; t++) {
            String[] text = TEXTS[t];
            ObjectNode paragraph = articles.addObject().put("title", "Text " + t).putArray("paragraphs").addObject().put("context", text[0]);
            ArrayNode questions = paragraph.putArray("qas");
            for (int q = 1; q < text.length; q += 2) {
                ObjectNode question = questions.addObject().put("id", t + "-" + q).put("question", text[q]).put("is_impossible", text[q + 1] == null);
                ArrayNode answers = question.putArray("answers");
                if (text[q + 1] != null) {
                    answers.addObject().put("text", text[q + 1]).put("answer_start", text[0].indexOf(text[q + 1]));
                }
            }
        }
        data = Files.writeString(folder.resolve("texts.json"), json.toString());
        run = folder.resolve("run");
        training = CommandRun.of("finetune", "--task", "qa", "--model", "all-MiniLM-L6-v2", "--train", data.toString(), "--dev", data.toString(),
                "--max-length", "40", "--stride", "12", "--epochs", "25", "--batch-size", "4", "--lr", "3e-4", "--dropout", "0", "--out", run.toString(), "--json");
    }

    private static CommandRun predict(String... more) {
        List<String> args = new ArrayList<>(List.of("predict", "--model", run.toString(), "--max-length", "40", "--stride", "12"));
        args.addAll(List.of(more));
        return CommandRun.of(args.toArray(String[]::new));
    }

    @Test
    void learnsTheAnswersAndKeepsTheThreshold() throws IOException {
        training.done();
        JsonNode last = training.json().path("epochs").path(24).path("metrics");
        assertTrue(last.path("exact_match").asDouble() > 80, last.toString());
        assertTrue(last.path("best_f1").asDouble() > 90, last.toString());
        assertTrue(last.path("NoAns_exact").asDouble() > 60, last.toString());
        assertEquals(300.0 / 12, training.json().path("baseline").path("f1").asDouble(), 1e-9);
        assertEquals(12, training.json().path("train_examples").asInt());
        JsonNode config = JSON.readTree(run.resolve("config.json").toFile());
        assertEquals("BertForQuestionAnswering", config.path("architectures").path(0).asText());
        assertEquals(last.path("best_f1_thresh").asDouble(), config.path("task_specific_params").path("qa").path("no_answer_threshold").asDouble());
    }

    /** At so small a rate no answer changes, so the first epoch stays the best; yet each epoch's weights have another threshold. */
    @Test
    void theBestEpochKeepsItsOwnThreshold() throws IOException {
        Path best = folder.resolve("best");
        JsonNode summary = CommandRun.of("finetune", "--task", "qa", "--model", run.toString(), "--train", data.toString(), "--dev", data.toString(), "--epochs", "3",
                "--batch-size", "4", "--lr", "1e-6", "--keep", "best", "--max-length", "40", "--out", best.toString(), "--json").done().json();
        int kept = summary.path("kept_epoch").asInt();
        assertTrue(kept < 3, "the last epoch is no better than the first");
        double threshold = JSON.readTree(best.resolve("config.json").toFile()).path("task_specific_params").path("qa").path("no_answer_threshold").asDouble();
        assertEquals(summary.path("epochs").path(kept - 1).path("metrics").path("best_f1_thresh").asDouble(), threshold);
        assertTrue(threshold != summary.path("epochs").path(2).path("metrics").path("best_f1_thresh").asDouble(), "another epoch, another threshold");
    }

    /** The model's own threshold was tuned on the same file: F1 is the best one; and the official form gives the same figures. */
    @Test
    void evaluatesWithTheTunedThresholdAndAsTheOfficialForm() throws IOException {
        JsonNode metrics = CommandRun.of("evaluate", "--model", run.toString(), "--data", data.toString(), "--max-length", "40", "--stride", "12", "--json")
                .done().json().path("metrics");
        assertEquals(training.json().path("epochs").path(24).path("metrics").path("best_f1").asDouble(), metrics.path("best_f1").asDouble(), 1e-9);
        assertEquals(metrics.path("best_f1").asDouble(), metrics.path("f1").asDouble(), 1e-9);
        JsonNode predictions = predict("--squad", data.toString()).done().json();
        double exact = 0;
        for (int t = 0; t < TEXTS.length; t++) {
            for (int q = 1; q < TEXTS[t].length; q += 2) {
                List<String> golds = TEXTS[t][q + 1] == null ? List.of() : List.of(TEXTS[t][q + 1]);
                exact += AnswerMetric.SQUAD2.exact(golds, predictions.path(t + "-" + q).textValue());
            }
        }
        assertEquals(12, predictions.size());
        assertEquals(metrics.path("exact_match").asDouble(), 100 * exact / 12, 1e-9);
    }

    @Test
    void answersArgumentsRowsAndFiles() throws IOException {
        List<JsonNode> lines = predict("--json", "--n-best", "3", "--context", TEXTS[4][0], "Who stayed in orbit?", "What is the plain called?").done().jsonLines();
        assertEquals("Michael Collins", lines.get(0).path("text").asText());
        JsonNode plain = lines.get(1);
        assertEquals("the Sea of Tranquility", plain.path("text").asText(), "seen through the last window");
        assertEquals("the Sea of Tranquility", TEXTS[4][0].substring(plain.path("start").asInt(), plain.path("end").asInt()));
        assertEquals(3, plain.path("n_best").size());
        assertEquals(plain.path("score").asDouble(), plain.path("n_best").path(0).path("score").asDouble());
        assertTrue(plain.path("no_answer_probability").asDouble() < 0.5);

        String row = JSON.createObjectNode().put("id", "x").put("question", "Who stayed in orbit?").put("context", TEXTS[4][0]).toString() + "\n";
        JsonNode read = CommandRun.withInput(row, "predict", "--model", run.toString(), "--max-length", "40", "--stride", "12", "--json").done().jsonLines().get(0);
        assertEquals("x", read.path("id").asText());
        assertEquals(lines.get(0).path("score").asDouble(), read.path("score").asDouble(), 1e-5);
        assertFalse(read.has("n_best"));
        Path file = Files.writeString(folder.resolve("rows.jsonl"), row);
        String[] cells = predict("--file", file.toString()).done().out().split("\t");
        assertEquals("Michael Collins", cells[0]);
        assertEquals(TEXTS[4][0].indexOf("Michael"), Integer.parseInt(cells[2]));
    }

    @Test
    void whatIsWrongIsSaid() throws IOException {
        CommandRun.of("predict", "--model", "all-MiniLM-L6-v2", "--context", "c", "q").misusedWith("--context", "not classify");
        predict("a question").misusedWith("--context go together");
        predict("--squad", data.toString(), "--file", data.toString()).misusedWith("--squad excludes");
        predict("--n-best", "0", "--context", "c", "q").misusedWith("'--n-best': it must be at least 1, not 0");
        predict("--stride", "0", "--context", "c", "q").misusedWith("(--stride) is 0");
        predict("--choice", "a", "--context", "c", "q").misusedWith("--choice is for models of the task choice, not qa");
        predict("--max-length", "6", "--context", "c", "What is this?").failedWith("Question 1 leaves no room for its context");
        predict("--max-length", "6", "--squad", data.toString()).failedWith("Question 0-1 leaves no room");
        CommandRun.of("evaluate", "--model", run.toString(), "--data", data.toString(), "--max-length", "6").failedWith("texts.json: Question 0-1 leaves no room");
        String row = "{\"question\": \"Who?\", \"context\": \"Me.\"}\n";
        Path many = Files.writeString(folder.resolve("many.jsonl"), row.repeat(257) + row.replace("Who?", "Who is it that knocks here?")); // more than are computed at a time
        CommandRun late = CommandRun.of("predict", "--model", run.toString(), "--max-length", "8", "--file", many.toString());
        assertEquals(1, late.code());
        assertTrue(late.err().contains("Question 258 leaves no room for its context in 8 tokens"), late.err());
        CommandRun.of("evaluate", "--model", "all-MiniLM-L6-v2", "--task", "qa", "--data", data.toString()).failedWith("head for qa", "qa_outputs");
        Path bad = Files.writeString(folder.resolve("bad.json"), "{\"data\":[{\"title\":\"T\",\"paragraphs\":[{\"context\":\"c\",\"qas\":[{\"id\":\"i\",\"question\":\"q\"}]}]}]}");
        String[] train = {"finetune", "--task", "qa", "--model", "all-MiniLM-L6-v2", "--train", bad.toString(), "--out", folder.resolve("no").toString()};
        CommandRun.of(train).failedWith("bad.json, article 1 'T'", "question i");
        CommandRun.of("finetune", "--task", "qa", "--text", "t", "--model", "m", "--train", "f", "--out", "o").misusedWith("--text");
        CommandRun.of("finetune", "--stride", "9", "--text", "t", "--label", "l", "--model", "m", "--train", "f", "--out", "o").misusedWith("for the task qa, not classify");
        CommandRun.of("finetune", "--task", "qa", "--answer-metric", "rouge", "--model", "m", "--train", "f", "--out", "o").misusedWith("--answer-metric", "KORQUAD");
        CommandRun.of("finetune", "--task", "qa", "--dev-split", "0.2", "--model", "all-MiniLM-L6-v2", "--train", oneArticle().toString(), "--out", folder.resolve("no").toString())
                .failedWith("one article");
        assertFalse(Files.exists(folder.resolve("no")));
    }

    private static Path oneArticle() throws IOException {
        return Files.writeString(folder.resolve("one.json"),
                "{\"data\":[{\"paragraphs\":[{\"context\":\"c\",\"qas\":[{\"id\":\"i\",\"question\":\"q\",\"answers\":[]},{\"id\":\"j\",\"question\":\"q\",\"answers\":[]}]}]}]}");
    }

    @Test
    void longQuestionsAreCutAndSaid() {
        CommandRun cut = CommandRun.of("finetune", "--task", "qa", "--model", run.toString(), "--train", data.toString(), "--dev-split", "0.2", "--max-query-length", "5",
                "--max-length", "40", "--steps", "1", "--out", folder.resolve("cut").toString()).done();
        assertTrue(cut.err().contains("training examples are asked with their question cut to 5 tokens"), cut.err());
    }

    @Test
    void splitsBetweenArticles() throws IOException {
        Path train = folder.resolve("train.json");
        Path dev = folder.resolve("dev.json");
        CommandRun done = CommandRun.of("split", "--squad", data.toString(), "--dev-articles", "2", "--train", train.toString(), "--dev", dev.toString()).done();
        assertEquals(train + "\t3 articles\t7 questions\n" + dev + "\t2 articles\t5 questions\n", done.out());
        JsonNode whole = JSON.readTree(data.toFile());
        JsonNode held = JSON.readTree(dev.toFile());
        assertEquals(whole.path("version"), held.path("version"));
        assertEquals(whole.path("data").path(3), held.path("data").path(0));
        assertEquals(whole.path("data").path(4), held.path("data").path(1));
        assertEquals(whole.path("data").path(0), JSON.readTree(train.toFile()).path("data").path(0));
        CommandRun.of("split", "--squad", data.toString(), "--dev-articles", "5", "--train", train.toString(), "--dev", dev.toString()).misusedWith("--dev-articles is 5");
        CommandRun.of("split", "--squad", data.toString(), "--dev-articles", "1", "--train", data.toString(), "--dev", dev.toString()).failedWith("is the file to split");
    }
}
