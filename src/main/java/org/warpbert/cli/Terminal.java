package org.warpbert.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.warpbert.WarpBertException;
import org.warpbert.train.RunFolder;

/** Where a command reads and writes: results to standard output, progress and notes to standard error. */
final class Terminal {
    /** Whoever reads standard output has closed it ({@code | head}): no failure, there is just nothing more to do. */
    static final class Closed extends RuntimeException {
        private static final long serialVersionUID = 1L;

        Closed(IOException cause) {
            super(cause);
        }
    }

    private final InputStream in;
    private final OutputStream out;
    private final PrintStream err;
    private final boolean interactive;
    /** Set by the first failure of {@code out}: what is still buffered would only fail again. */
    private boolean dead;

    /**
     * @param out         unbuffered or not; it is flushed at the end of a command
     * @param interactive whether {@code err} is a person's terminal, on which a progress bar can be drawn
     */
    Terminal(InputStream in, OutputStream out, PrintStream err, boolean interactive) {
        this.in = in;
        this.out = out;
        this.err = err;
        this.interactive = interactive;
    }

    InputStream in() {
        return in;
    }

    PrintStream err() {
        return err;
    }

    boolean interactive() {
        return interactive;
    }

    /** A line of the result. */
    void print(String line) {
        write((line + "\n").getBytes(StandardCharsets.UTF_8));
    }

    /** A line of the result, as JSON. */
    void json(Object value) {
        try {
            print(RunFolder.JSON.writeValueAsString(value));
        } catch (IOException e) {
            throw new IllegalStateException("no JSON can be made of " + value.getClass(), e);
        }
    }

    /** A line that is no part of the result. */
    void note(String line) {
        err.println(line);
    }

    private void write(byte[] bytes) {
        if (!dead) {
            try {
                out.write(bytes);
            } catch (IOException e) {
                throw failure(e);
            }
        }
    }

    void flush() {
        if (!dead) {
            try {
                out.flush();
            } catch (IOException e) {
                throw failure(e);
            }
        }
    }

    private RuntimeException failure(IOException e) {
        dead = true;
        // the JDK tells a closed pipe from a full disk by the text alone
        return e.getMessage() != null && e.getMessage().contains("Broken pipe") ? new Closed(e)
                : new WarpBertException("standard output cannot be written: " + e.getMessage(), e);
    }
}
