package org.warpbert.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import org.warpbert.task.FillMask;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The words behind [MASK]. */
@Command(name = "fill-mask", description = "Guess the words behind [MASK]; a JSON line for each text: text, masks (for each, its candidates).",
        footer = {"", "  warpbert fill-mask --model bert-base-uncased \"The capital of France is [MASK].\""})
final class FillMaskCommand extends WarpBertCommand {
    @Option(names = "--model", required = true, paramLabel = "NAME|DIR", description = "A model with a masked-word head (see: warpbert models list).")
    private String model;

    @Mixin private TextInput input;

    @Option(names = "--top", paramLabel = "N", defaultValue = "5", converter = Count.class, description = "Candidates for each [MASK] (default: 5).")
    private int top;

    @Option(names = "--max-length", paramLabel = "N", description = "Longer texts are cut to so many tokens (default: the model's positions).")
    private Integer maxLength;

    @Mixin private DeviceOptions device;

    @JsonInclude(JsonInclude.Include.NON_NULL)
    private record Line(String text, String pair, List<List<FillMask.Candidate>> masks) {}

    FillMaskCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        if (maxLength != null && maxLength < 3) {
            throw usage("--max-length is " + maxLength + ", it must be at least 3");
        }
        fetch(model);
        try (FillMask filler = FillMask.load(model, device.compute(), terminal::note)) {
            input.forEach(this, chunk -> {
                for (int i = 0; i < chunk.texts().size(); i++) {
                    String text = chunk.texts().get(i);
                    terminal.json(new Line(text, chunk.pair(i), filler.fill(text, chunk.pair(i), top, maxLength == null ? filler.positions() : maxLength)));
                }
                terminal.flush();
            });
        }
    }
}
