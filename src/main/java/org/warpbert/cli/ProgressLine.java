package org.warpbert.cli;

import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** How far one task is, on standard error: a bar on a terminal, else a plain line every ten seconds, or nothing. */
final class ProgressLine implements AutoCloseable {
    private static final long EVERY = Duration.ofSeconds(10).toNanos();
    private static final int COLUMNS = Integer.getInteger("warpbert.columns", 100);

    private final Terminal terminal;
    private final boolean quiet;
    private final String task;
    private final String unit;
    private final long unitSize;
    private final long total;
    private final ProgressBar bar;
    private long lastLine = System.nanoTime();

    /**
     * @param total    what {@link #at} will reach, or -1 where that is not known
     * @param unit     such as "MB" or "steps"
     * @param unitSize how many of what {@link #at} counts make one unit
     */
    ProgressLine(Terminal terminal, boolean quiet, String task, long total, String unit, long unitSize) {
        this.terminal = terminal;
        this.quiet = quiet;
        this.task = task;
        this.total = total;
        this.unit = unit;
        this.unitSize = unitSize;
        bar = quiet || !terminal.interactive() ? null : new ProgressBarBuilder()
                .setTaskName(task).setInitialMax(total).setUnit(" " + unit, unitSize)
                .setStyle(ProgressBarStyle.COLORFUL_UNICODE_BAR).setUpdateIntervalMillis(200)
                .setConsumer(new ConsoleProgressBarConsumer(terminal.err(), COLUMNS - 1)).build();
    }

    /** @param extra more to show beside the count, or "" */
    void at(long done, String extra) {
        if (bar != null) {
            bar.stepTo(done);
            bar.setExtraMessage(extra);
        } else if (!quiet && System.nanoTime() - lastLine >= EVERY) {
            lastLine = System.nanoTime();
            terminal.note(String.format(Locale.ROOT, "%s: %,d%s %s%s", task, done / unitSize,
                    total < 0 ? "" : String.format(Locale.ROOT, " of %,d", total / unitSize), unit,
                    extra.isEmpty() ? "" : ", " + extra));
        }
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}
