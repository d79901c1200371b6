package org.warpbert.cli;

import java.util.Locale;
import java.util.Set;
import org.warpbert.task.Evaluation;
import org.warpbert.train.Summary;
import org.warpbert.train.TrainingListener;

/** Tells a person how a run goes, on standard error, and what came of it. */
final class TrainingReport implements TrainingListener, Evaluation.Progress, AutoCloseable {
    /** The loss shown is a mean that forgets at this rate: one batch's loss jumps too much to be read. */
    private static final double FORGET = 0.05;

    /** What the figures of the best answer are called that does not look at the text. */
    static final String BASELINE = "without reading";

    private final Terminal terminal;
    private final boolean quiet;
    private Start start;
    private ProgressLine line;
    private boolean evaluating;
    private double loss = Double.NaN;
    private double speed = Double.NaN;

    TrainingReport(Terminal terminal, boolean quiet) {
        this.terminal = terminal;
        this.quiet = quiet;
    }

    @Override
    public void note(String text) {
        close();
        terminal.note(text);
    }

    @Override
    public void started(Start started) {
        start = started;
        if (!quiet) {
            terminal.note(started.model() + ", " + millions(started.parameters()) + " parameters, on " + started.device() + ", in " + started.precision());
            terminal.note(String.format(Locale.ROOT, "%,d training examples, %,d dev examples; %,d steps per epoch, at most %,d tokens per step; %,.2f GB",
                    started.trainExamples(), started.devExamples(), started.stepsPerEpoch(), started.maxBatchTokens(), started.plannedBytes() / 1e9));
        }
    }

    @Override
    public void stepped(Step step) {
        if (line == null || evaluating) {
            show("Epoch " + step.epoch() + "/" + start.epochs(), start.stepsPerEpoch(), "steps");
            evaluating = false;
        }
        loss = mean(loss, step.loss());
        speed = mean(speed, step.tokensPerSecond());
        line.at(step.step() - (long) (step.epoch() - 1) * start.stepsPerEpoch(),
                String.format(Locale.ROOT, "loss %.3f, %,.0f tokens/s", loss, speed));
    }

    private static double mean(double before, double now) {
        return Double.isNaN(before) ? now : before + FORGET * (now - before);
    }

    @Override
    public void evaluating(int done, int batches) {
        if (line == null || !evaluating) {
            show("Evaluating", batches, "batches");
            evaluating = true;
        }
        line.at(done, "");
    }

    @Override
    public void at(int done, int batches) {
        evaluating(done, batches);
    }

    private void show(String task, long total, String unit) {
        close();
        line = new ProgressLine(terminal, quiet, task, total, unit, 1);
    }

    @Override
    public void finishedEpoch(Epoch epoch) {
        close();
        if (!quiet && !terminal.interactive()) {
            terminal.note(String.format(Locale.ROOT, "Epoch %d/%d: train loss %.4f%s, %s", epoch.epoch(), start.epochs(), epoch.trainLoss(),
                    Double.isNaN(epoch.devLoss()) ? "" : String.format(Locale.ROOT, ", dev loss %.4f%s", epoch.devLoss(), metrics(epoch)),
                    time(epoch.seconds())));
        }
    }

    @Override
    public void close() {
        if (line != null) {
            line.close();
            line = null;
        }
    }

    private static String metrics(Epoch epoch) {
        StringBuilder line = new StringBuilder();
        epoch.metrics().forEach((name, value) -> line.append(String.format(Locale.ROOT, ", %s %.4f", name, value)));
        return line.toString();
    }

    /** The epochs of a run as a table, the baseline below. */
    static void table(Terminal terminal, Summary summary) {
        boolean dev = summary.devExamples() > 0;
        Set<String> names = dev ? summary.epochs().get(0).metrics().keySet() : Set.of();
        StringBuilder head = new StringBuilder("epoch   train loss").append(dev ? "   dev loss" : "");
        names.forEach(name -> head.append("   ").append(String.format("%" + width(name) + "s", name)));
        terminal.print(head.append("         time").toString());
        for (TrainingListener.Epoch epoch : summary.epochs()) {
            StringBuilder row = new StringBuilder(String.format(Locale.ROOT, "%5d   %10.4f", epoch.epoch(), epoch.trainLoss()));
            if (dev) {
                row.append(String.format(Locale.ROOT, "   %8.4f", epoch.devLoss()));
            }
            names.forEach(name -> row.append("   ").append(cell(name, epoch.metrics().get(name))));
            terminal.print(row.append(String.format("   %10s", time(epoch.seconds()))).toString());
        }
        if (!summary.baseline().isEmpty()) {
            StringBuilder row = new StringBuilder(String.format("%-29s", BASELINE));
            names.forEach(name -> row.append("   ").append(cell(name, summary.baseline().get(name))));
            terminal.print(row.toString().stripTrailing());
        }
        if (summary.hyperparameters().selection().keepBest()) {
            terminal.print("The weights are those of epoch " + summary.keptEpoch() + ".");
        }
        terminal.print(String.format(Locale.ROOT, "%,d steps%s, %,d real tokens (%,d padded tokens avoided), %s in all, peak memory %.2f GB",
                summary.steps(), summary.skippedSteps() == 0 ? "" : String.format(Locale.ROOT, " (%,d skipped: gradients not finite)", summary.skippedSteps()),
                summary.realTokens(), summary.paddedTokensAvoided(), time(summary.seconds()), summary.peakBytes() / 1e9));
    }

    private static int width(String name) {
        return Math.max(8, name.length());
    }

    private static String cell(String name, Double value) {
        return value == null ? " ".repeat(width(name)) : String.format(Locale.ROOT, "%" + width(name) + ".4f", value);
    }

    static String time(double seconds) {
        long s = Math.round(seconds);
        return s < 60 ? String.format(Locale.ROOT, "%.1f s", seconds)
                : s < 3600 ? String.format("%d:%02d min", s / 60, s % 60)
                : String.format("%d:%02d:%02d h", s / 3600, s / 60 % 60, s % 60);
    }

    private static String millions(long count) {
        return String.format(Locale.ROOT, "%.1fM", count / 1e6);
    }
}
