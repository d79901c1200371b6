package org.warpbert.text;

import java.util.ArrayList;
import java.util.List;

/** Questions as examples of several sequences, one for each candidate: {@code [CLS] first [SEP] second [SEP]}. */
public final class Candidates implements InstanceSource {
    private final WordPieceTokenizer tokenizer;
    private final List<ChoiceQuestion> questions;
    private final int maxLength;

    /** @param maxLength most tokens of a sequence; of a longer one the longer text is cut first */
    public Candidates(WordPieceTokenizer tokenizer, List<ChoiceQuestion> questions, int maxLength) {
        this.tokenizer = tokenizer;
        this.questions = List.copyOf(questions);
        this.maxLength = maxLength;
    }

    @Override
    public int size() {
        return questions.size();
    }

    @Override
    public List<Instance> encode(int[] rows) {
        List<String> first = new ArrayList<>();
        List<String> second = new ArrayList<>();
        for (int row : rows) {
            ChoiceQuestion question = questions.get(row);
            for (int c = 0; c < question.choices().size(); c++) {
                first.add(question.first());
                second.add(question.second(c));
            }
        }
        List<Encoded> encoded = tokenizer.encode(first, second, maxLength);
        List<Instance> instances = new ArrayList<>(rows.length);
        int from = 0;
        for (int row : rows) {
            int to = from + questions.get(row).choices().size();
            instances.add(new Instance(List.copyOf(encoded.subList(from, to)), new int[] {questions.get(row).label()}, null));
            from = to;
        }
        return instances;
    }
}
