package org.warpbert.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Locale;
import org.warpbert.WarpBertException;
import org.warpbert.format.AtomicFile;
import org.warpbert.text.SquadFile;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** One SQuAD file as two, between articles: to train on one and to be judged by the other, with the official script too. */
@Command(name = "split", description = "Split a file of SQuAD's JSON: its last articles to one file, the others to another.")
final class SplitCommand extends WarpBertCommand {
    @Option(names = "--squad", required = true, paramLabel = "FILE", description = "The file to split; it stays as it is.")
    private Path file;

    @Option(names = "--dev-articles", required = true, paramLabel = "N", description = "How many of the last articles are held out.")
    private int held;

    @Option(names = "--train", required = true, paramLabel = "FILE", description = "Where the other articles go.")
    private Path train;

    @Option(names = "--dev", required = true, paramLabel = "FILE", description = "Where the last articles go.")
    private Path dev;

    SplitCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        SquadFile.readQuestions(file); // a wrong file is not made two wrong ones
        ObjectNode json = (ObjectNode) SquadFile.json(file);
        JsonNode articles = json.path("data");
        if (held < 1 || held >= articles.size()) {
            throw usage("--dev-articles is " + held + ", it must be at least 1 and less than the " + articles.size() + " articles of " + file);
        }
        if (train.toAbsolutePath().normalize().equals(dev.toAbsolutePath().normalize())) {
            throw usage("--train and --dev are the same file");
        }
        int kept = articles.size() - held;
        write(json, articles, 0, kept, train);
        write(json, articles, kept, articles.size(), dev);
    }

    private void write(ObjectNode json, JsonNode articles, int from, int to, Path out) {
        if (out.toAbsolutePath().normalize().equals(file.toAbsolutePath().normalize())) {
            throw new WarpBertException(out + " is the file to split.");
        }
        ObjectNode part = json.deepCopy();
        ArrayNode chosen = part.putArray("data");
        for (int i = from; i < to; i++) {
            chosen.add(articles.get(i));
        }
        AtomicFile.write(out, part.toString().getBytes(StandardCharsets.UTF_8));
        terminal.print(String.format(Locale.ROOT, "%s\t%,d articles\t%,d questions", out, to - from, questions(chosen)));
    }

    private static int questions(ArrayNode articles) {
        int count = 0;
        for (JsonNode questions : articles.findValues("qas")) {
            count += questions.size();
        }
        return count;
    }
}
