package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.backend.Precision;
import org.warpbert.model.BertConfig;
import org.warpbert.text.Documents;
import org.warpbert.text.Masking;
import org.warpbert.text.Objective;
import org.warpbert.text.VocabularyTrainer;
import org.warpbert.text.WordPieceTokenizer;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.Schedule;
import org.warpbert.train.Summary;
import org.warpbert.train.TrainingListener;

/** Masked words of real English. */
class PretrainTextTest {
    private static final Path TEXT = Path.of(System.getProperty("warpbert.shared", "../shared")).resolve("data/text");
    private static final int WINDOW = 30;

    @TempDir Path folder;

    private static Path text(String name) {
        Path file = TEXT.resolve(name);
        Assumptions.assumeTrue(Files.exists(file), () -> file + " is not there (-Dwarpbert.shared=FOLDER)");
        return file;
    }

    /** From nothing, 150 steps: the mean loss of every 30 is below that of the 30 before. */
    @Test
    void theLossFallsSteadilyFromScratch() {
        Path train = text("wikitext2-valid.txt");
        Hyperparameters hyper = new Hyperparameters(1, 16, 128, 1e-3, 30, 0.01, 1.0, null, Schedule.CONSTANT, 0, 5 * WINDOW, 1, true);
        Finetune.Options options = new Finetune.Options("small", new PretrainTask(Objective.NSP, Masking.SHARE, true, 1), train, null, null, hyper,
                Compute.on("cpu").withPrecision(Precision.F32), folder.resolve("run"), false);
        List<Double> losses = new ArrayList<>();
        Summary summary = Finetune.run(options, () -> Checkpoint.fresh(BertConfig.ofSizes(1, 128, 2, 2, 512, 128, 2),
                new WordPieceTokenizer(VocabularyTrainer.train(Documents.read(train), true, 3000), true)), new TrainingListener() {
                    @Override
                    public void stepped(Step step) {
                        losses.add(step.loss());
                    }
                });
        assertEquals(5 * WINDOW, summary.steps());
        assertEquals(Math.log(3000) + Math.log(2), losses.get(0), 0.3, "a new model knows nothing");
        double before = losses.get(0) + 1;
        List<Double> means = new ArrayList<>();
        for (int from = 0; from < losses.size(); from += WINDOW) {
            means.add(losses.subList(from, from + WINDOW).stream().mapToDouble(loss -> loss).average().orElseThrow());
        }
        for (double mean : means) {
            assertTrue(mean < before - 0.01, "means of " + WINDOW + " steps: " + means);
            before = mean;
        }
    }

    /** The real bert-base-uncased guesses more than half of the masked pieces of WikiText-2's first test articles. */
    @Test
    @Tag("heavy")
    void bertBaseGuessesMostMaskedWordsOfWikiText() throws Exception {
        List<String> lines = Files.readAllLines(text("wikitext2-test.txt"));
        Path some = Files.write(folder.resolve("some.txt"), lines.subList(0, 60));
        Evaluation judged = Evaluation.run("bert-base-uncased", new PretrainTask(Objective.MLM, Masking.SHARE, false, 42), some, 128, 16, Compute.on("cpu").withPrecision(Precision.F32), (done, all) -> {});
        double perplexity = judged.metrics().get(PretrainingMetrics.PERPLEXITY);
        assertTrue(judged.metrics().get(PretrainingMetrics.WORDS) > 0.5 && perplexity < 20, judged.toString());
        assertEquals(Math.exp(judged.loss()), perplexity, 1e-6 * perplexity);
    }
}
