package org.warpbert.cli;

import org.warpbert.train.Saving;
import picocli.CommandLine.Option;

/** Whether a run that is stopped can go on. */
final class SavingOptions {
    @Option(names = "--save-every", paramLabel = "STEPS", defaultValue = "0", description = "Save the run's state every so many steps, in DIR.partial: weights and"
            + " moments, 12 bytes a parameter (default: 0, a run that is stopped leaves nothing).")
    private int every;

    @Option(names = "--resume", description = "Go on with the run at --out that was stopped, from the state it saved last; all else must be as it was.")
    private boolean resume;

    Saving get() {
        return new Saving(every, resume);
    }
}
