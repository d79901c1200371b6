package org.warpbert.cli;

import java.util.Locale;
import org.warpbert.train.Summary;
import org.warpbert.train.TrainingListener;

/** Tells a person how a run goes, on standard error, and what came of it. */
final class TrainingReport implements TrainingListener, AutoCloseable {
    /** The loss shown is a mean that forgets at this rate: one batch's loss jumps too much to be read. */
    private static final double FORGET = 0.05;

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
            terminal.note(String.format(Locale.ROOT, "%,d training texts, %,d dev texts; %,d steps per epoch, at most %,d tokens per step; %,.2f GB",
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
        if (!evaluating) {
            show("Evaluating", batches, "batches");
            evaluating = true;
        }
        line.at(done, "");
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
                    Double.isNaN(epoch.devLoss()) ? "" : String.format(Locale.ROOT, ", dev loss %.4f, accuracy %.4f", epoch.devLoss(), epoch.accuracy()),
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

    /** The epochs of a run as a table, the majority-class baseline below. */
    static void table(Terminal terminal, Summary summary) {
        boolean dev = summary.devExamples() > 0;
        terminal.print(dev ? "epoch   train loss   dev loss   accuracy      MCC       time" : "epoch   train loss       time");
        for (TrainingListener.Epoch epoch : summary.epochs()) {
            terminal.print(dev
                    ? String.format(Locale.ROOT, "%5d   %10.4f   %8.4f   %8.4f   %6.3f   %8s", epoch.epoch(), epoch.trainLoss(), epoch.devLoss(),
                            epoch.accuracy(), epoch.matthewsCorrelation(), time(epoch.seconds()))
                    : String.format(Locale.ROOT, "%5d   %10.4f   %8s", epoch.epoch(), epoch.trainLoss(), time(epoch.seconds())));
        }
        if (dev) {
            terminal.print(String.format(Locale.ROOT, "always the most frequent class   %8.4f   %6.3f", summary.majority(), 0.0));
        }
        terminal.print(String.format(Locale.ROOT, "%,d steps%s, %,d real tokens (%,d padded tokens avoided), %s in all, peak memory %.2f GB",
                summary.steps(), summary.skippedSteps() == 0 ? "" : String.format(Locale.ROOT, " (%,d skipped: gradients not finite)", summary.skippedSteps()),
                summary.realTokens(), summary.paddedTokensAvoided(), time(summary.seconds()), summary.peakBytes() / 1e9));
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
