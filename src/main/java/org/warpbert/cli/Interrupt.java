package org.warpbert.cli;

import org.warpbert.train.RunFolder;

/** Ctrl-C, or a polite kill: one line, exit code 1, and no half-written run folder; one that can go on stays. */
final class Interrupt {
    private static volatile boolean finished;
    private static volatile boolean underWay;

    private Interrupt() {}

    /** From now on, until {@link #finished}, the end of the process is an interrupt. */
    static void install(Terminal terminal) {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            if (!finished) {
                underWay = true;
                RunFolder.abandonOpen(runs -> {
                    terminal.note((terminal.interactive() ? System.lineSeparator() : "") + "warpbert: interrupted" + (runs == null ? "" : "; " + runs)); // not onto a progress bar
                    Runtime.getRuntime().halt(1); // before a run that was about to begin makes its folder
                });
            }
        }, "interrupt"));
    }

    static void finished() {
        finished = true;
    }

    static boolean underWay() {
        return underWay;
    }
}
