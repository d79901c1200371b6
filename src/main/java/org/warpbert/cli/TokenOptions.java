package org.warpbert.cli;

import java.nio.file.Path;
import org.warpbert.format.NewTokens;
import org.warpbert.task.Checkpoint;
import picocli.CommandLine.Option;

/** Tokens that a model is to know besides its own. */
final class TokenOptions {
    @Option(names = "--add-tokens", paramLabel = "FILE",
            description = "Add these tokens to the vocabulary: one a line, behind special ones a tab and the word special.")
    private Path file;

    private NewTokens tokens;

    /** Reads the file, where there is one: what is wrong with it is said before a model is fetched. */
    void read(WarpBertCommand command) {
        tokens = file == null ? null : NewTokens.read(file, command.terminal::note);
    }

    /** The model with the tokens in it. */
    Checkpoint grow(Checkpoint model, WarpBertCommand command) {
        if (tokens == null) {
            return model;
        }
        try {
            int before = model.tokenizer().vocabularySize();
            Checkpoint grown = model.with(tokens, command.terminal::note);
            int after = grown.tokenizer().vocabularySize();
            command.terminal.note(after == before ? "no token is new" : "new tokens have the ids " + before + " to " + (after - 1));
            return grown;
        } catch (RuntimeException e) {
            model.close();
            throw e;
        }
    }
}
