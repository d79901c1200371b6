package org.warpbert.cli;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.warpbert.WarpBertException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Says what is found on this machine, what is missing, and what to do about it. */
@Command(name = "doctor", description = "Show what is found on this machine, what is missing, and what to do about it.")
final class DoctorCommand extends WarpBertCommand {
    @Option(names = "--json", description = "JSON on standard output.")
    private boolean json;

    DoctorCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        List<Doctor.Finding> findings = Doctor.examine();
        if (json) {
            terminal.json(findings);
        } else {
            for (Doctor.Finding finding : findings) {
                terminal.print(String.format("%-8s %-18s %s", finding.state().name().toLowerCase(Locale.ROOT), finding.name(), finding.detail()));
                if (finding.remedy() != null) {
                    terminal.print(String.format("%-8s %-18s -> %s", "", "", finding.remedy()));
                }
            }
        }
        terminal.flush();
        String lacking = findings.stream().filter(f -> f.needed() && f.state() == Doctor.State.MISSING)
                .map(f -> f.name() + " (" + f.remedy() + ")").collect(Collectors.joining("; "));
        if (!lacking.isEmpty()) {
            throw new WarpBertException("WarpBERT cannot work here: " + lacking);
        }
    }
}
