package org.warpbert.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.warpbert.WarpBertException;
import org.warpbert.hub.Hub;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** What all commands have in common. */
@CommandLine.Command(sortOptions = false, abbreviateSynopsis = true)
abstract class WarpBertCommand implements Callable<Integer> {
    @Spec CommandSpec spec;

    @Option(names = {"-q", "--quiet"}, order = 100, description = "No progress on standard error, only notes that matter.")
    boolean quiet;

    @Option(names = "--verbose", order = 101, description = "Show where a failure came from.")
    boolean verbose;

    @Option(names = {"-h", "--help"}, order = 102, usageHelp = true, description = "Show this help.")
    boolean help;

    final Terminal terminal;

    WarpBertCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    /** Does the work; failures are thrown. */
    abstract void run();

    @Override
    public final Integer call() {
        run();
        terminal.flush();
        return 0;
    }

    /** Fetches a model that is known by name and not there yet, with a progress bar; a folder is left alone. */
    final void fetch(String model) {
        try (Downloads downloads = new Downloads(terminal, quiet)) {
            Hub.resolve(model, downloads);
        }
    }

    /** Wrong usage: exit code 2. */
    final CommandLine.ParameterException usage(String message) {
        return new CommandLine.ParameterException(spec.commandLine(), message);
    }

    /** Fails where a file that is to be written at the end is a folder; null is none. */
    final void checkFile(String option, Path file) {
        if (file != null && Files.isDirectory(file)) {
            throw usage(option + " " + file + " is a folder; it must be a file");
        }
    }

    /** A value that the library refuses to be made from options is wrong usage. */
    final <T> T checked(Supplier<T> value) {
        try {
            return value.get();
        } catch (WarpBertException e) {
            throw usage(e.getMessage());
        }
    }
}
