package org.warpbert.cli;

import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** Draws a run again. */
@Command(name = "plot", description = "Draw a run's loss and dev metrics to training.png in its folder.")
final class PlotCommand extends WarpBertCommand {
    @Parameters(paramLabel = "RUN", description = "A run folder.")
    private Path run;

    PlotCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        terminal.print(TrainingPlot.draw(run).toString());
    }
}
