package org.warpbert.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.warpbert.hub.Hub;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** What models there are, and getting one. */
@Command(name = "models", description = "List the models known by name, or fetch one.")
final class ModelsCommand extends WarpBertCommand {
    private enum Action { LIST, GET }

    @Parameters(index = "0", paramLabel = "list|get", defaultValue = "list", description = "list (the default), or get NAME.")
    private Action action;

    @Parameters(index = "1", arity = "0..1", paramLabel = "NAME", description = "The model to get.")
    private String name;

    @Option(names = "--json", description = "JSON on standard output.")
    private boolean json;

    /** One model; {@code folder} is null until it is fetched. */
    private record Model(String name, String description, String artifact, long bytes, String folder) {}

    ModelsCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        if ((action == Action.GET) != (name != null)) {
            throw usage(action == Action.GET ? "models get needs a NAME" : "models list takes no NAME; there is: models get " + name);
        }
        if (action == Action.GET) {
            get();
        } else {
            list();
        }
    }

    private void get() {
        fetch(name);
        Path folder = Hub.resolve(name);
        if (json) {
            terminal.json(Map.of("name", name, "folder", folder.toString()));
        } else {
            terminal.print(folder.toString());
        }
    }

    private void list() {
        List<Model> models = Hub.known().stream().map(entry -> {
            Path folder = Hub.cached(entry);
            return new Model(entry.name(), entry.description(), entry.artifact(), entry.bytes(),
                    Files.isDirectory(folder) ? folder.toString() : null);
        }).toList();
        if (json) {
            terminal.json(models);
            return;
        }
        for (Model model : models) {
            String download = model.bytes > 0 ? "a download of " + model.bytes / 1_000_000 + " MB" : "a download";
            terminal.print(String.format("%-30s %s", model.name, model.description));
            terminal.print(String.format("%-30s %s", "", model.folder != null ? model.folder : download + " on first use"));
        }
    }
}
