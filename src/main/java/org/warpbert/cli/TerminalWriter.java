package org.warpbert.cli;

import java.io.StringWriter;

/** Lets picocli print its help as a command prints its results. */
final class TerminalWriter extends StringWriter {
    private final Terminal terminal;

    TerminalWriter(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public void flush() {
        String text = toString();
        getBuffer().setLength(0);
        if (!text.isEmpty()) {
            terminal.print(text.stripTrailing());
        }
    }
}
