package org.warpbert.cli;

import org.warpbert.hub.Progress;

/** Shows downloads and conversions, one progress line after the other. */
final class Downloads implements Progress, AutoCloseable {
    private final Terminal terminal;
    private final boolean quiet;
    private String shown;
    private ProgressLine line;

    Downloads(Terminal terminal, boolean quiet) {
        this.terminal = terminal;
        this.quiet = quiet;
    }

    @Override
    public synchronized void at(String what, long done, long total) {
        if (!what.equals(shown)) {
            close();
            shown = what;
            if (!quiet && !terminal.interactive()) {
                terminal.note(what + (total > 0 ? " (" + total / 1_000_000 + " MB)" : ""));
            }
            line = new ProgressLine(terminal, quiet, what, total, "MB", 1_000_000);
        }
        line.at(done, "");
    }

    @Override
    public synchronized void close() {
        if (line != null) {
            line.close();
        }
    }
}
