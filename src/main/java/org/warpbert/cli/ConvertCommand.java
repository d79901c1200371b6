package org.warpbert.cli;

import java.nio.file.Path;
import org.warpbert.format.ModelConverter;
import org.warpbert.hub.Hub;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Any model that can be read, as Hugging Face keeps it. */
@Command(name = "convert", description = "Write a model as a Hugging Face folder: config.json, model.safetensors, vocab.txt, tokenizer files.")
final class ConvertCommand extends WarpBertCommand {
    @Parameters(paramLabel = "NAME|DIR", description = "A folder (safetensors, Google's checkpoint, a SavedModel, ONNX), or a name (see: warpbert models list).")
    private String model;

    @Option(names = "--to", required = true, paramLabel = "DIR", description = "The folder to make.")
    private Path to;

    ConvertCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        fetch(model);
        try (Downloads progress = new Downloads(terminal, quiet)) {
            ModelConverter.convert(Hub.resolve(model), to, (done, total) -> progress.at("Converting " + model, done, total));
        }
        terminal.print(to.toString());
    }
}
