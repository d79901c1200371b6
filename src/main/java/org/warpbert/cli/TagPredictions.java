package org.warpbert.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.warpbert.task.TokenTagger;

/** {@code predict} for models that tag words. */
final class TagPredictions {
    private TagPredictions() {}

    /** Entities where the model's labels spell them, else words. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    private record Line(String text, List<TokenTagger.Span> entities, List<TokenTagger.Span> words) {}

    static void print(PredictCommand command) {
        InferenceOptions inference = command.inference;
        try (TokenTagger tagger = TokenTagger.load(inference.model, inference.device.compute(), command.terminal::note)) {
            int maxLength = inference.maxLength(tagger.positions());
            command.input.forEach(command, chunk -> {
                if (chunk.pairs() != null) {
                    throw command.usage(inference.model + " tags one text at a time: --pair and --pair-tab are not for it");
                }
                for (TokenTagger.Tagged tagged : tagger.predict(chunk.texts(), maxLength, inference.batchSize)) {
                    print(command, tagged, tagger.findsEntities());
                }
                command.terminal.flush();
            });
        }
    }

    private static void print(PredictCommand command, TokenTagger.Tagged tagged, boolean entities) {
        if (command.json) {
            command.terminal.json(new Line(tagged.text(), entities ? tagged.entities() : null, entities ? null : tagged.words()));
        } else {
            command.terminal.print(entities ? TextInput.oneLine(bracketed(tagged))
                    : tagged.words().stream().map(word -> word.text() + "/" + word.label()).collect(Collectors.joining(" ")));
        }
    }

    /** The text with its entities in brackets. */
    private static String bracketed(TokenTagger.Tagged tagged) {
        StringBuilder line = new StringBuilder();
        int at = 0;
        for (TokenTagger.Span entity : tagged.entities()) {
            line.append(tagged.text(), at, entity.start())
                    .append(String.format(Locale.ROOT, "[%s](%s %.2f)", entity.text(), entity.label(), entity.score()));
            at = entity.end();
        }
        return line.append(tagged.text(), at, tagged.text().length()).toString();
    }
}
