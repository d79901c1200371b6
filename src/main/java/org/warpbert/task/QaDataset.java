package org.warpbert.task;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.warpbert.WarpBertException;
import org.warpbert.text.BatchOrder;
import org.warpbert.text.Question;
import org.warpbert.text.SquadFile;

/** Questions of a SQuAD file, or some of them. */
record QaDataset(SquadFile source, List<Question> questions) implements Dataset {

    QaDataset(SquadFile source) {
        this(source, source.questions());
    }

    @Override
    public Path file() {
        return source.file();
    }

    @Override
    public int size() {
        return questions.size();
    }

    @Override
    public QaDataset select(int[] rows) {
        return new QaDataset(source, Arrays.stream(rows).mapToObj(questions::get).toList());
    }

    /** Whole articles go to either side: questions of one text know of each other's answers. */
    @Override
    public BatchOrder.Split split(double share, long seed) {
        int[] articles = questions.stream().mapToInt(Question::article).distinct().toArray();
        if (articles.length < 2) {
            throw new WarpBertException(file() + " has one article, and a split keeps articles whole; give a dev file (--dev).");
        }
        int[] held = Arrays.stream(BatchOrder.split(articles.length, share, seed).dev()).map(i -> articles[i]).toArray();
        return new BatchOrder.Split(rows(held, false), rows(held, true));
    }

    private int[] rows(int[] articles, boolean inside) {
        return IntStream.range(0, size()).filter(q -> Arrays.binarySearch(articles, questions.get(q).article()) >= 0 == inside).toArray();
    }

    @Override
    public int skipped() {
        return 0;
    }

    @Override
    public List<String> notes() {
        return source.notes();
    }

    /** Whether some question has no answer in its context. */
    boolean unanswerable() {
        return questions.stream().anyMatch(question -> !question.answerable());
    }
}
