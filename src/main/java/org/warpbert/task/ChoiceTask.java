package org.warpbert.task;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.warpbert.WarpBertException;
import org.warpbert.model.BertConfig;
import org.warpbert.model.Head;
import org.warpbert.model.ParameterTable;
import org.warpbert.text.Candidates;
import org.warpbert.text.Capacity;
import org.warpbert.text.ChoiceFile;
import org.warpbert.text.ChoiceQuestion;
import org.warpbert.text.InstanceSource;
import org.warpbert.text.PackedBatch;
import org.warpbert.text.WordPieceTokenizer;

/** Which of some candidates? (Devlin et al. 2019, section 4.4): SWAG. An example is a question with all its candidates. */
public final class ChoiceTask implements Task {
    public static final String NAME = "choice";
    private static final String ACCURACY = "accuracy";
    private static final int USUAL = 4; // SWAG's candidates

    private int candidates = USUAL; // to plan for

    private record Questions(Path file, List<ChoiceQuestion> rows) implements Dataset {
        @Override
        public int size() {
            return rows.size();
        }

        @Override
        public Questions select(int[] numbers) {
            return new Questions(file, Arrays.stream(numbers).mapToObj(rows::get).toList());
        }

        @Override
        public int skipped() {
            return 0;
        }

        @Override
        public List<String> notes() {
            return List.of();
        }
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public Object settings() {
        return null;
    }

    @Override
    public Dataset read(Path file) {
        return new Questions(file, ChoiceFile.read(file));
    }

    @Override
    public void check(Path file) {
        ChoiceFile.check(file);
    }

    @Override
    public void assume(Integer asked, Checkpoint model) {
        candidates = asked == null ? USUAL : asked;
        if (candidates < 1) {
            throw new WarpBertException("the number of candidates (--labels) is " + asked + ", it must be at least 1");
        }
    }

    @Override
    public void open(Checkpoint model) {
        model.requireFor(Purpose.CHOICE);
    }

    @Override
    public Capacity largest(int maxLength) {
        return new Capacity((int) Math.min((long) maxLength * candidates, Integer.MAX_VALUE), candidates, 1, 1, 0);
    }

    @Override
    public ParameterTable parameters(BertConfig config) {
        return ChoiceHead.parameters(config);
    }

    @Override
    public Head head() {
        return new ChoiceHead();
    }

    @Override
    public InstanceSource instances(Dataset data, WordPieceTokenizer tokenizer, int maxLength) {
        return new Candidates(tokenizer, ((Questions) data).rows, maxLength);
    }

    @Override
    public Judge judge(Dataset data, InstanceSource instances, Head head) {
        ChoiceHead choice = (ChoiceHead) head;
        return new Judge() {
            private int right;
            private int questions;

            @Override
            public void add(PackedBatch batch) {
                float[] scores = choice.scores();
                for (int e = 0; e < batch.examples(); e++) {
                    int from = batch.cuExamples()[e];
                    right += Evaluation.argmax(scores, from, batch.cuExamples()[e + 1] - from) == batch.labels()[e] ? 1 : 0;
                    questions++;
                }
            }

            @Override
            public Map<String, Double> metrics() {
                return Map.of(ACCURACY, (double) right / questions);
            }

            /** To choose the candidate of always the same number. */
            @Override
            public Map<String, Double> baseline() {
                List<ChoiceQuestion> rows = ((Questions) data).rows;
                long most = rows.stream().collect(Collectors.groupingBy(ChoiceQuestion::label, Collectors.counting())).values().stream()
                        .mapToLong(Long::longValue).max().orElse(0);
                return Map.of(ACCURACY, (double) most / rows.size());
            }
        };
    }

    @Override
    public List<String> metrics() {
        return List.of(ACCURACY);
    }

    @Override
    public BertConfig saved(BertConfig config) {
        return config.withLabels(null).withUse(new BertConfig.Use(Purpose.CHOICE.architecture(), null, NAME));
    }
}
