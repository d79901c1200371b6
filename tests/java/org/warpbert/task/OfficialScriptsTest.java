package org.warpbert.task;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.warpbert.text.LabelMap;
import org.warpbert.text.Question;
import org.warpbert.text.SquadFile;
import org.warpbert.text.TestData;

/** Every figure against the programs that define it, run elsewhere: tests/data, where a README names them and their versions. */
class OfficialScriptsTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    /** Sums of up to 12,000 doubles in another order. */
    private static final double ROUNDING = 1e-9;

    private static String resource(String name) throws IOException {
        try (InputStream stream = OfficialScriptsTest.class.getResourceAsStream("official/" + name)) {
            return new String(stream.readAllBytes(), UTF_8);
        }
    }

    private static Iterable<JsonNode> figures(String name) throws IOException {
        JsonNode figures = JSON.readTree(resource("figures.json")).path(name);
        assertTrue(figures.size() > 1, name);
        return figures;
    }

    private static List<String> texts(JsonNode list) {
        return StreamSupport.stream(list.spliterator(), false).map(JsonNode::asText).toList();
    }

    /** Articles, punctuation of Unicode, several golds, none, empty predictions, Korean; half of the cases at random. */
    @Test
    void answersOneByOne() throws IOException {
        List<String> lines = resource("answers.jsonl").lines().toList();
        assertTrue(lines.size() > 250);
        for (String line : lines) {
            JsonNode c = JSON.readTree(line);
            AnswerMetric metric = AnswerMetric.valueOf(c.path("metric").asText());
            assertEquals(c.path("exact").asDouble(), metric.exact(texts(c.path("golds")), c.path("prediction").asText()), line);
            assertEquals(c.path("f1").asDouble(), metric.f1(texts(c.path("golds")), c.path("prediction").asText()), 1e-15, line);
        }
    }

    private static Map<String, Double> report(List<Question> questions, List<String> answers, double[] none, double threshold, AnswerMetric metric) {
        return AnswerJudge.report(questions, answers, none, metric, threshold, tuned -> { });
    }

    /** The whole of a report; the script calls the exact match by another name. */
    private static void assertReport(JsonNode expected, Map<String, Double> report) {
        report.forEach((name, value) -> assertEquals(
                expected.path(name.equals("exact_match") ? "exact" : name).asDouble(Double.NaN), value, ROUNDING, name));
        assertEquals(List.of("exact_match", "f1", "HasAns_exact", "HasAns_f1", "NoAns_exact", "NoAns_f1", "best_exact", "best_exact_thresh",
                "best_f1", "best_f1_thresh"), List.copyOf(report.keySet()));
    }

    /** Probabilities of none that are equal, 0 and 1 among them; thresholds between and at them. */
    @Test
    void theReportOnQuestionsWithoutAnswers() throws IOException {
        List<Question> questions = new ArrayList<>();
        List<String> answers = new ArrayList<>();
        List<Double> none = new ArrayList<>();
        for (JsonNode q : figures("questions")) {
            List<Question.Answer> golds = texts(q.path("golds")).stream().map(gold -> new Question.Answer(gold, 0)).toList();
            questions.add(new Question("" + questions.size(), 0, "?", "", golds));
            answers.add(q.path("prediction").asText());
            none.add(q.path("noAnswer").asDouble());
        }
        double[] probabilities = none.stream().mapToDouble(p -> p).toArray();
        JsonNode reports = JSON.readTree(resource("figures.json")).path("reports");
        assertEquals(4, reports.size());
        reports.fields().forEachRemaining(report -> assertReport(report.getValue(),
                report(questions, answers, probabilities, Double.parseDouble(report.getKey()), AnswerMetric.SQUAD2)));
    }

    @ParameterizedTest
    @CsvSource({"squad/dev-v1.1.rebuilt.json, SQUAD", "squad/dev-v2.0.rebuilt.json, SQUAD2", "korquad/KorQuAD_v1.0_dev.json, KORQUAD"})
    void wholeFiles(String name, AnswerMetric metric) throws IOException {
        List<Question> questions = SquadFile.read(TestData.shared(name)).questions();
        List<String> answers = new ArrayList<>();
        double[] none = new double[questions.size()];
        for (int i = 0; i < none.length; i++) {
            answers.add(spoiled(questions, i));
            none[i] = i * 7919L % 1000 / 1000.0;
        }
        JsonNode expected = StreamSupport.stream(figures("files").spliterator(), false)
                .filter(file -> file.path("file").asText().equals(name)).findFirst().orElseThrow();
        assertEquals(expected.path("questions").asInt(), questions.size());
        if (metric == AnswerMetric.SQUAD2) {
            assertEquals(3, expected.path("thresholds").size());
            expected.path("thresholds").fields().forEachRemaining(report -> assertReport(report.getValue(),
                    report(questions, answers, none, Double.parseDouble(report.getKey()), metric)));
        } else {
            Map<String, Double> report = report(questions, answers, none, NoAnswerThreshold.NEVER, metric);
            assertEquals(expected.path("exact_match").asDouble(), report.get("exact_match"), ROUNDING);
            assertEquals(expected.path("f1").asDouble(), report.get("f1"), ROUNDING);
        }
    }

    /** The prediction for a question: a gold as it is, or with a fault that depends on the question's number. */
    private static String spoiled(List<Question> questions, int i) {
        List<String> golds = golds(questions.get(i));
        List<String> next = golds(questions.get((i + 1) % questions.size()));
        String first = golds.isEmpty() ? "" : golds.get(0);
        String last = golds.isEmpty() ? "" : golds.get(golds.size() - 1);
        List<String> words = new ArrayList<>(golds.isEmpty() ? List.of() : Arrays.asList(last.split(" ", -1)));
        switch (i % 8) {
            case 0: return golds.isEmpty() ? "the answer" : first;
            case 1: return golds.isEmpty() ? "" : "The " + first.toUpperCase(Locale.ROOT) + ".";
            case 3: return Arrays.stream(questions.get(i).context().split(" ", -1)).limit(5).collect(Collectors.joining(" "));
            case 4: return words.stream().skip(1).collect(Collectors.joining(" "));
            case 5: return next.isEmpty() ? "" : next.get(0);
            case 6:
                Collections.reverse(words);
                return String.join(" ", words) + " a";
            case 7: return last;
            default: return "";
        }
    }

    private static List<String> golds(Question question) {
        return question.answers().stream().map(Question.Answer::text).toList();
    }

    /** 1,380 sentences of three schemes, well-formed and malformed: their entities, and the scores of all and of each type. */
    @Test
    void entitiesAsSeqevalsDefaultModeReadsThem() throws IOException {
        Map<String, EntityMetrics> blocks = new TreeMap<>();
        Map<String, Map<String, Double>> expected = new TreeMap<>(); // "block" or "block type X" to scores
        String block = null;
        int sentences = 0;
        for (String line : resource("tags.tsv").lines().toList()) {
            if (line.startsWith("#")) {
                String name = line.substring(2, line.indexOf(" f1 "));
                block = name.contains(" type ") ? block : name;
                String[] fields = line.substring(line.indexOf(" f1 ") + 1).split(" ");
                expected.put(name, new TreeMap<>());
                for (int i = 0; i < fields.length; i += 2) {
                    expected.get(name).put(fields[i], Double.valueOf(fields[i + 1]));
                }
            } else {
                String[] columns = line.split("\t", -1);
                List<String> gold = List.of(columns[0].split(" "));
                List<String> predicted = List.of(columns[1].split(" "));
                assertEquals(columns[2], entities(gold), columns[0]);
                assertEquals(columns[3], entities(predicted), columns[1]);
                blocks.computeIfAbsent(block, name -> new EntityMetrics()).add(gold, predicted);
                sentences += 2;
            }
        }
        assertEquals(1380, sentences);
        assertEquals(6, blocks.size());
        Map<String, Map<String, Double>> scores = new TreeMap<>();
        blocks.forEach((name, metrics) -> {
            scores.put(name, metrics.overall());
            metrics.byType().forEach((type, each) -> scores.put(name + " type " + type, each));
        });
        assertEquals(expected.keySet(), scores.keySet());
        expected.forEach((name, each) -> {
            assertEquals(each.keySet(), new TreeMap<>(scores.get(name)).keySet());
            each.forEach((figure, value) -> assertEquals(value, scores.get(name).get(figure), 1e-15, name + " " + figure));
        });
    }

    private static String entities(List<String> tags) {
        return Entities.of(tags).stream().map(e -> e.type() + ":" + e.first() + "-" + e.last()).collect(Collectors.joining(" "));
    }

    private static double[] numbers(JsonNode list) {
        return StreamSupport.stream(list.spliterator(), false).mapToDouble(JsonNode::asDouble).toArray();
    }

    @Test
    void correlationsWithAndWithoutTies() throws IOException {
        for (JsonNode c : figures("correlations")) {
            assertEquals(c.path("pearson").asDouble(), Correlation.pearson(numbers(c.path("x")), numbers(c.path("y"))), 1e-14);
            assertEquals(c.path("spearman").asDouble(), Correlation.spearman(numbers(c.path("x")), numbers(c.path("y"))), 1e-14);
        }
    }

    @Test
    void matthewsCorrelation() throws IOException {
        for (JsonNode c : figures("matthews")) {
            ClassificationMetrics metrics = new ClassificationMetrics(c.path("classes").asInt());
            for (int i = 0; i < c.path("labels").size(); i++) {
                metrics.add(c.path("labels").get(i).asInt(), c.path("predicted").get(i).asInt());
            }
            assertEquals(c.path("mcc").asDouble(), metrics.matthewsCorrelation(), 1e-14);
            assertEquals(c.path("accuracy").asDouble(), metrics.accuracy(), 1e-15);
        }
    }

    @Test
    void severalLabels() throws IOException {
        for (JsonNode c : figures("multiLabel")) {
            List<String> labels = texts(c.path("labels"));
            List<String> names = IntStream.range(0, labels.get(0).length()).mapToObj(i -> "label " + i).toList();
            MultiLabelJudge judge = new MultiLabelJudge(LabelMap.of(names), null);
            for (int i = 0; i < labels.size(); i++) {
                judge.add(set(labels.get(i)), set(c.path("predicted").get(i).asText()));
            }
            judge.metrics().forEach((figure, value) -> assertEquals(c.path(figure).asDouble(Double.NaN), value, 1e-15, figure));
        }
    }

    private static BitSet set(String bits) {
        BitSet set = new BitSet();
        for (int i = 0; i < bits.length(); i++) {
            set.set(i, bits.charAt(i) == '1');
        }
        return set;
    }
}
